/* backend/postgres/text_array.h - builds the text form of a text[] parameter: {"a","b"}. Pure; owns
 * its memory. */
#ifndef PGK_POSTGRES_TEXT_ARRAY_H
#define PGK_POSTGRES_TEXT_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

struct text_array {
    char *text;
    size_t length;
    size_t capacity;
};

/* Each is false when out of memory; the array may always be freed. */
bool text_array_begin(struct text_array *array);
bool text_array_add(struct text_array *array, const char *item);
bool text_array_end(struct text_array *array);
void text_array_free(struct text_array *array);

#endif

/* backend/postgres/text_array.c - see text_array.h. */
#include "backend/postgres/text_array.h"

#include <stdlib.h>
#include <string.h>

static bool append(struct text_array *array, char c)
{
    if (array->length + 2 > array->capacity) {
        size_t capacity = array->capacity == 0 ? 64 : array->capacity * 2;
        char *text = realloc(array->text, capacity);
        if (text == NULL) {
            return false;
        }
        array->text = text;
        array->capacity = capacity;
    }
    array->text[array->length++] = c;
    array->text[array->length] = '\0';
    return true;
}

bool text_array_begin(struct text_array *array)
{
    memset(array, 0, sizeof(*array));
    return append(array, '{');
}

bool text_array_add(struct text_array *array, const char *item)
{
    bool whole = (array->length == 1 || append(array, ',')) && append(array, '"');
    for (; whole && *item != '\0'; item++) {
        whole = (*item != '"' && *item != '\\') || append(array, '\\');
        whole = whole && append(array, *item);
    }
    return whole && append(array, '"');
}

bool text_array_end(struct text_array *array)
{
    return append(array, '}');
}

void text_array_free(struct text_array *array)
{
    free(array->text);
    array->text = NULL;
}

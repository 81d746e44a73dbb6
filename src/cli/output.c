/*
 * output.c - rows on stdout: tables for people, JSON and CSV for programs.
 *
 * Knows nothing of the statements: column names are keys, column types say what is quoted.
 */
#include "output.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* OIDs of pg_type that are printed bare in JSON and right-aligned in tables; fixed for ever. */
enum {
    TYPE_BOOL = 16,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_OID = 26,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_NUMERIC = 1700,
    TYPE_JSONB = 3802
};

bool output_parse_format(const char *text, enum cli_format *ret_format)
{
    static const struct {
        const char *name;
        enum cli_format format;
    } formats[] = {{"table", FORMAT_TABLE},
                   {"json", FORMAT_JSON},
                   {"ndjson", FORMAT_NDJSON},
                   {"csv", FORMAT_CSV}};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, text) == 0) {
            *ret_format = formats[i].format;
            return true;
        }
    }
    return false;
}

static bool is_number(Oid type)
{
    return type == TYPE_INT8 || type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_OID ||
           type == TYPE_FLOAT4 || type == TYPE_FLOAT8 || type == TYPE_NUMERIC;
}

void output_json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        switch (*p) {
        case '"':
            fputs("\\\"", out);
            break;
        case '\\':
            fputs("\\\\", out);
            break;
        case '\n':
            fputs("\\n", out);
            break;
        case '\r':
            fputs("\\r", out);
            break;
        case '\t':
            fputs("\\t", out);
            break;
        default:
            if (*p < 0x20 || *p == 0x7f) {
                fprintf(out, "\\u%04x", *p);
            } else {
                fputc(*p, out);
            }
        }
    }
    fputc('"', out);
}

static void json_value(FILE *out, const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column)) {
        fputs("null", out);
        return;
    }
    const char *value = PQgetvalue(result, row, column);
    Oid type = PQftype(result, column);
    if (type == TYPE_BOOL) {
        fputs(value[0] == 't' ? "true" : "false", out);
    } else if (type == TYPE_JSON || type == TYPE_JSONB) {
        fputs(value, out);
    } else if (is_number(type) && strpbrk(value, "IN") == NULL) { /* not Infinity, NaN */
        fputs(value, out);
    } else {
        output_json_string(out, value);
    }
}

void output_json_row(FILE *out, const PGresult *result, int row)
{
    fputc('{', out);
    for (int column = 0; column < PQnfields(result); column++) {
        if (column > 0) {
            fputs(", ", out);
        }
        output_json_string(out, PQfname(result, column));
        fputs(": ", out);
        json_value(out, result, row, column);
    }
    fputc('}', out);
}

static void print_json(FILE *out, const PGresult *result)
{
    int rows = PQntuples(result);
    if (rows == 0) {
        fputs("[]\n", out);
        return;
    }
    for (int row = 0; row < rows; row++) {
        fputs(row == 0 ? "[\n  " : ",\n  ", out);
        output_json_row(out, result, row);
    }
    fputs("\n]\n", out);
}

static void csv_field(FILE *out, const char *value)
{
    /* An empty string is quoted, NULL is nothing at all: as in PostgreSQL's COPY. */
    if (value[0] != '\0' && strpbrk(value, ",\"\r\n") == NULL) {
        fputs(value, out);
        return;
    }
    fputc('"', out);
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '"') {
            fputc('"', out);
        }
        fputc(*p, out);
    }
    fputc('"', out);
}

static void csv_value(FILE *out, const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column)) {
        return;
    }
    const char *value = PQgetvalue(result, row, column);
    if (PQftype(result, column) == TYPE_BOOL) {
        value = value[0] == 't' ? "true" : "false";
    }
    csv_field(out, value);
}

static void print_csv(FILE *out, const PGresult *result)
{
    int columns = PQnfields(result);
    for (int column = 0; column < columns; column++) {
        if (column > 0) {
            fputc(',', out);
        }
        csv_field(out, PQfname(result, column));
    }
    fputc('\n', out);
    for (int row = 0; row < PQntuples(result); row++) {
        for (int column = 0; column < columns; column++) {
            if (column > 0) {
                fputc(',', out);
            }
            csv_value(out, result, row, column);
        }
        fputc('\n', out);
    }
}

/* Prints bytes of a text with control characters as '?', so that a stored name cannot move the cursor of
 * a terminal; with out NULL only measures. Returns the columns taken on a terminal. */
static int put_bytes(FILE *out, const char *text, size_t left)
{
    mbstate_t state = {0};
    int width = 0;
    while (left > 0) {
        wchar_t wide;
        size_t bytes = mbrtowc(&wide, text, left, &state);
        int columns = 1;
        if (bytes == (size_t)-1 || bytes == (size_t)-2) {
            /* Not a character of this locale: one byte; of a UTF-8 sequence only the first counts. */
            memset(&state, 0, sizeof state);
            bytes = 1;
            columns = ((unsigned char)*text & 0xc0) == 0x80 ? 0 : 1;
        } else {
            columns = wcwidth(wide);
        }
        if (out != NULL) {
            if (columns < 0) {
                fputc('?', out);
            } else {
                fwrite(text, 1, bytes, out);
            }
        }
        width += columns < 0 ? 1 : columns;
        text += bytes;
        left -= bytes;
    }
    return width;
}

int output_clipped(FILE *out, const char *line, size_t length, int width)
{
    mbstate_t state = {0};
    size_t taken = 0;
    int columns = 0;
    while (taken < length) {
        wchar_t wide;
        size_t bytes = mbrtowc(&wide, line + taken, length - taken, &state);
        bool valid = bytes != (size_t)-1 && bytes != (size_t)-2;
        int more = valid ? wcwidth(wide) : 1;
        if (!valid) {
            memset(&state, 0, sizeof state);
            bytes = 1;
        }
        more = more < 0 ? 1 : more;
        if (columns + more > width) {
            break;
        }
        columns += more;
        taken += bytes;
    }
    return put_bytes(out, line, taken);
}

static int put_text(FILE *out, const char *text)
{
    return put_bytes(out, text, strlen(text));
}

/* What a table shows; row -1: the heading, the column's name without the "_name" or "_text" that only widens it. */
static const char *table_text(const PGresult *result, int row, int column, char *heading,
                              size_t size)
{
    if (row < 0) {
        const char *name = PQfname(result, column);
        size_t length = strlen(name);
        size_t stem = length > 5 ? length - 5 : 0;
        bool widened = strcmp(name + stem, "_name") == 0 || strcmp(name + stem, "_text") == 0;
        snprintf(heading, size, "%.*s", (int)(widened ? stem : length), name);
        return heading;
    }
    if (PQgetisnull(result, row, column)) {
        return "";
    }
    const char *value = PQgetvalue(result, row, column);
    if (PQftype(result, column) == TYPE_BOOL) {
        return value[0] == 't' ? "yes" : "no";
    }
    return value;
}

/* Prints one cell; *gap is the blank space owed before it, so that no line ends in blanks. */
static void table_cell(FILE *out, const char *text, int width, bool right, int *gap)
{
    int room = width - put_text(NULL, text);
    if (text[0] == '\0') {
        *gap += width + 2;
        return;
    }
    *gap += right ? room : 0;
    fprintf(out, "%*s", *gap, "");
    put_text(out, text);
    *gap = 2 + (right ? 0 : room);
}

static void print_table(FILE *out, const PGresult *result, int columns)
{
    int *widths = calloc((size_t)columns + 1, sizeof *widths);
    char heading[64];
    if (widths == NULL) {
        return;
    }
    for (int column = 0; column < columns; column++) {
        for (int row = -1; row < PQntuples(result); row++) {
            int width = put_text(NULL, table_text(result, row, column, heading, sizeof heading));
            if (width > widths[column]) {
                widths[column] = width;
            }
        }
    }
    for (int row = -1; row < PQntuples(result); row++) {
        int gap = 0;
        for (int column = 0; column < columns; column++) {
            const char *text = table_text(result, row, column, heading, sizeof heading);
            table_cell(out, text, widths[column], is_number(PQftype(result, column)), &gap);
        }
        fputc('\n', out);
    }
    free(widths);
}

void output_record(FILE *out, enum cli_format format, const PGresult *result)
{
    if (format != FORMAT_TABLE) {
        output_rows(out, format, result, 0);
        return;
    }
    int widest = 0;
    for (int column = 0; column < PQnfields(result); column++) {
        int width = put_text(NULL, PQfname(result, column));
        widest = width > widest ? width : widest;
    }
    for (int column = 0; column < PQnfields(result); column++) {
        char unused[1];
        const char *text = table_text(result, 0, column, unused, sizeof unused);
        if (text[0] == '\0') {
            continue;
        }
        fprintf(out, "%-*s", widest, PQfname(result, column));
        for (const char *line = text; line != NULL;) {
            size_t length = strcspn(line, "\n");
            fprintf(out, "%*s", line == text ? 2 : widest + 2, "");
            put_bytes(out, line, length);
            fputc('\n', out);
            line = line[length] == '\n' ? line + length + 1 : NULL;
        }
    }
}

void output_rows(FILE *out, enum cli_format format, const PGresult *result, int table_columns)
{
    switch (format) {
    case FORMAT_TABLE:
        print_table(out, result, table_columns > 0 ? table_columns : PQnfields(result));
        break;
    case FORMAT_JSON:
        print_json(out, result);
        break;
    case FORMAT_NDJSON:
        for (int row = 0; row < PQntuples(result); row++) {
            output_json_row(out, result, row);
            fputc('\n', out);
        }
        break;
    case FORMAT_CSV:
        print_csv(out, result);
        break;
    }
}

PGresult *output_new_rows(int columns, const char *const *names, const Oid *types)
{
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc *attributes = calloc((size_t)columns, sizeof *attributes);
    bool made = rows != NULL && attributes != NULL;
    if (made) {
        for (int i = 0; i < columns; i++) {
            attributes[i].name = (char *)names[i]; /* copied, not changed */
            attributes[i].typid = types != NULL ? types[i] : OUTPUT_TEXT;
            attributes[i].typlen = -1;
            attributes[i].atttypmod = -1;
        }
        made = PQsetResultAttrs(rows, columns, attributes) != 0;
    }
    free(attributes);
    if (!made) {
        PQclear(rows);
        return NULL;
    }
    return rows;
}

void output_add_row(PGresult *rows, const char *const *values)
{
    int row = PQntuples(rows);
    for (int i = 0; i < PQnfields(rows); i++) {
        int length = values[i] != NULL ? (int)strlen(values[i]) : -1;
        PQsetvalue(rows, row, i, (char *)values[i], length);
    }
}

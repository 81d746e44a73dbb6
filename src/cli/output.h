/*
 * output.h - rows on stdout as a table, JSON, newline-delimited JSON or CSV.
 */
#ifndef PGK_CLI_OUTPUT_H
#define PGK_CLI_OUTPUT_H

#include <stdio.h>

#include <libpq-fe.h>

#include "cli.h"

/* Prints all rows; JSON keys are the column names, numbers and booleans are bare, json is passed through.
 * A table shows only the first table_columns columns (0: all), so that it fits a terminal. */
void output_rows(FILE *out, enum cli_format format, const PGresult *result, int table_columns);
/* Prints the only row; as a table one line per column that is not empty, with all lines of a text. */
void output_record(FILE *out, enum cli_format format, const PGresult *result);
/* Prints one row as one line of JSON. */
void output_json_row(FILE *out, const PGresult *result, int row);
/* Prints text as a JSON string, quotes included. */
void output_json_string(FILE *out, const char *text);
/* Prints as much of a line as takes at most width columns on a terminal. Returns the columns taken. */
int output_clipped(FILE *out, const char *line, size_t length, int width);
/* Rows made by hand: columns of text (types 0 or NULL) or of the given type OIDs; NULL: out of memory. */
PGresult *output_new_rows(int columns, const char *const *names, const Oid *types);
void output_add_row(PGresult *rows, const char *const *values);

#define OUTPUT_BOOL 16
#define OUTPUT_TEXT 25
#define OUTPUT_INT8 20

bool output_parse_format(const char *text, enum cli_format *ret_format);

#endif

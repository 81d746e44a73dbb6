/*
 * output.h - rows on stdout as a table, JSON, newline-delimited JSON or CSV.
 */
#ifndef PGK_CLI_OUTPUT_H
#define PGK_CLI_OUTPUT_H

#include <stdio.h>

#include <libpq-fe.h>

#include "cli.h"

/* Prints all rows; JSON keys are the column names, numbers and booleans are bare, json is passed through. */
void output_rows(FILE *out, enum cli_format format, const PGresult *result);
/* Prints one row as one line of JSON. */
void output_json_row(FILE *out, const PGresult *result, int row);
/* Prints text as a JSON string, quotes included. */
void output_json_string(FILE *out, const char *text);
bool output_parse_format(const char *text, enum cli_format *ret_format);

#endif

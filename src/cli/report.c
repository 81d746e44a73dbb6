/*
 * report.c - sentences on stderr, exit codes, questions, and the command's clock.
 *
 * Never writes to stdout.
 */
#include "cli.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void say_va(const struct cli *cli, const char *format, va_list args)
{
    fflush(stdout);
    if (cli->verb != NULL) {
        fprintf(stderr, "pgkeeper %s: ", cli->verb);
    } else {
        fprintf(stderr, "pgkeeper: ");
    }
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void say(const struct cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_va(cli, format, args);
    va_end(args);
}

int usage_error(const struct cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_va(cli, format, args);
    va_end(args);
    if (cli->verb != NULL) {
        int first = (int)strcspn(cli->verb, " ");
        fprintf(stderr, "See: pgkeeper %.*s --help\n", first, cli->verb);
    } else {
        fprintf(stderr, "See: pgkeeper --help\n");
    }
    return CLI_USAGE;
}

enum cli_exit exit_code_of(pgk_status status)
{
    switch (status) {
    case PGK_OK:
        return CLI_OK;
    case PGK_ERR_INVALID_ARGUMENT:
    case PGK_ERR_CONFIG:
        return CLI_USAGE;
    case PGK_ERR_CONNECTION:
    case PGK_ERR_ACCESS:
        return CLI_NO_CONNECTION;
    case PGK_ERR_NOT_FOUND:
    case PGK_ERR_FENCED:
        return CLI_CONDITION_FALSE;
    case PGK_ERR_TIMEOUT:
    case PGK_ERR_OUTCOME_UNKNOWN:
        return CLI_TIMED_OUT;
    case PGK_ERR_SCHEMA:
        return CLI_SCHEMA;
    case PGK_ERR_ILLEGAL_STATE:
    case PGK_ERR_NO_MEMORY:
    case PGK_ERR_IO:
    case PGK_ERR_UNSUPPORTED:
    case PGK_ERR_READ_ONLY:
    case PGK_ERR_STALE_PRIMARY:
    case PGK_ERR_RESOURCE:
    case PGK_ERR_CONFLICT:
    case PGK_ERR_ALREADY_EXISTS:
    case PGK_ERR_TOO_LARGE:
    case PGK_ERR_CORRUPT:
    case PGK_ERR_DATABASE:
    case PGK_ERR_INTERNAL:
        break;
    }
    return CLI_FAILED;
}

int fail(const struct cli *cli, const pgk_error *error)
{
    if (error->sqlstate[0] != '\0') {
        say(cli, "%s [%s]", error->message, error->sqlstate);
    } else {
        say(cli, "%s", error->message);
    }
    return (int)exit_code_of(error->status);
}

bool confirm_on_terminal(const char *question)
{
    if (!isatty(STDIN_FILENO)) {
        return false;
    }
    fflush(stdout);
    fprintf(stderr, "%s [y/N] ", question);
    char answer[16];
    if (fgets(answer, sizeof answer, stdin) == NULL) {
        return false;
    }
    return answer[0] == 'y' || answer[0] == 'Y';
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wait_ms(int ms)
{
    poll(NULL, 0, ms);
}

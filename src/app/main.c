// kith: one command after the other finds its function here.
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/cmd.h"
#include "app/recorder.h"

static void set_up_talk(struct app *a)
{
    const struct options *o = &a->options;
    struct talk *t = &a->talk;
    const char *const term = getenv("TERM"), *const no_color = getenv("NO_COLOR");
    const bool terminal = isatty(fileno(t->err)) == 1;
    t->command = o->command != CMD_NONE ? command_name(o->command) : NULL;
    t->json = o->json;
    t->quiet = o->quiet;
    t->verbose = o->verbose;
    t->hint_apart = terminal;
    t->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    t->color = terminal && !o->no_color && (no_color == NULL || *no_color == 0) && term != NULL && strcmp(term, "dumb") != 0;
}

static int version(struct app *a)
{
    if (!a->talk.json) {
        talk_data(&a->talk, "kith %s", KITH_VERSION);
        return 0;
    }
    json_t *e = talk_event("result");
    json_object_set_new(e, "version", json_string(KITH_VERSION));
    talk_emit(&a->talk, e);
    return 0;
}

static int help(struct app *a)
{
    enum command c = a->options.help ? a->options.command : CMD_NONE;
    if (!a->options.help && a->options.args.n == 1) {
        const char *const topic = a->options.args.items[0];
        if (strcmp(topic, "man") == 0) {
            options_man(a->talk.out);
            return 0;
        }
        if (strcmp(topic, "exit") == 0) {
            options_help_exit(a->talk.out);
            return 0;
        }
        for (unsigned i = CMD_NONE + 1; i < COMMANDS_N; i++)
            if (strcmp(command_name((enum command)i), topic) == 0)
                c = (enum command)i;
        if (c == CMD_LAB) {
            char lab[] = "lab", word[] = "help", *argv[] = {lab, word, NULL};
            return cmd_lab(&a->talk, argv);
        }
        if (c == CMD_NONE)
            return talk_fail(&a->talk, FAIL_USAGE, "`kith help` lists the commands", "no command %s", topic);
    }
    options_help(a->talk.out, c);
    return 0;
}

static void say_hello(struct app *a)
{
    json_t *e = talk_event("hello");
    json_object_set_new(e, "version", json_string(KITH_VERSION));
    json_object_set_new(e, "command", json_string(command_name(a->options.command)));
    json_object_set_new(e, "pid", talk_json_count((uint64_t)getpid()));
    talk_emit(&a->talk, e);
}

static int run(struct app *a)
{
    if (a->options.version || a->options.command == CMD_VERSION)
        return version(a);
    if (a->options.help || a->options.command == CMD_HELP)
        return help(a);
    if (a->options.command == CMD_NONE) {
        options_help(a->talk.err, CMD_NONE);
        return fail_status(FAIL_USAGE);
    }
    const enum err recorded = a->options.record == NULL ? ERR_OK : recorder_open(a->options.record);
    if (recorded == ERR_EXISTS)
        return talk_fail(&a->talk, FAIL_DUPLICATE, "choose another name", "--record %s: there is a file that is no recording", a->options.record);
    if (recorded != ERR_OK)
        return talk_fail(&a->talk, FAIL_IO, NULL, "cannot write %s: %s", a->options.record, strerror(errno));
    if (a->options.command != CMD_SHOW)
        say_hello(a);
    switch (a->options.command) {
    case CMD_GET: return cmd_get(a);
    case CMD_SHARE: return cmd_share(a);
    case CMD_CREATE: return cmd_create(a);
    case CMD_SHOW: return cmd_show(a);
    case CMD_VERIFY: return cmd_verify(a);
    case CMD_TRACKER: return cmd_tracker(a);
    case CMD_LAB:
        return talk_fail(&a->talk, FAIL_USAGE, "write `kith lab ...`", "`lab` comes first, its options behind it");
    case CMD_DHT: return cmd_dht(a);
    case CMD_NONE: case CMD_HELP: case CMD_VERSION: case COMMANDS_N: break;
    }
    return fail_status(FAIL_INTERNAL);
}

// `kith show x | head -1`: head has what it wanted, there is nothing to complain about. It ends as other programs do then.
static bool reader_left(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

int main(int argc, char **argv)
{
    struct app a = {0};
    char why[OPTIONS_WHY_MAX], hint[OPTIONS_WHY_MAX];
    (void)setlocale(LC_CTYPE, "");
    (void)signal(SIGPIPE, SIG_IGN);
    talk_init(&a.talk, stdout, stderr);
    if (argc > 1 && strcmp(argv[1], "lab") == 0)
        return cmd_lab(&a.talk, argv + 1);
    const enum err e = options_parse(&a.options, argc, argv, why, hint);
    set_up_talk(&a);
    int status = e == ERR_OK ? run(&a) : talk_fail(&a.talk, e == ERR_NOMEM ? FAIL_INTERNAL : FAIL_USAGE, hint[0] != 0 ? hint : NULL, "%s", why);
    if (!recorder_close() && status == 0)
        status = talk_fail(&a.talk, FAIL_IO, NULL, "the recording is not complete");
    // what did not reach its reader is not done
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0)
        status = reader_left() ? 128 + SIGPIPE : talk_fail(&a.talk, FAIL_IO, NULL, "cannot write to standard output");
    options_done(&a.options);
    return status;
}

// See interrupt.h. A signal handler has nothing but static state to write to.
#include "app/interrupt.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t count, last = SIGINT;
static struct sigaction before[2];

static void on_signal(int number)
{
    if (count++ > 0)
        _exit(128 + number);
}

static void set_both(void (*handler)(int))
{
    struct sigaction act = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

void interrupt_catch(void)
{
    set_both(on_signal);
}

void interrupt_release(void)
{
    set_both(SIG_DFL);
}

bool interrupted(void)
{
    return count > 0;
}

static void pass_on(int number)
{
    last = number;
    const struct sigaction *const b = &before[number == SIGTERM];
    if (b->sa_handler != SIG_DFL && b->sa_handler != SIG_IGN)
        b->sa_handler(number);
}

void interrupt_watch(void)
{
    struct sigaction act = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    sigfillset(&act.sa_mask);
    sigaction(SIGINT, &act, &before[0]);
    sigaction(SIGTERM, &act, &before[1]);
}

int interrupt_last(void)
{
    return last;
}

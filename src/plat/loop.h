// The event loop: descriptors, timers, signals, and one call at the end of each turn. Over libuv; one thread owns it.
//
// A turn: timers, then all ready descriptors, then `turn`, then waiting. What changes a watch or a timer is written down
// and told to the kernel once, at the end of the turn, and only if it really differs.
#pragma once
#include "base/base.h"

struct loop;
struct watch;
struct timer;
struct waker;

enum { WATCH_READ = 1, WATCH_WRITE = 2 };

// turn(ctx) runs before each wait. ERR_NOMEM, ERR_FULL (no descriptors).
MUST_USE enum err loop_new(struct loop **out, void (*turn)(void *ctx), void *ctx);
// Wants all watches, timers and wakers freed before. NULL is fine.
void loop_free(struct loop *l);
// The monotonic clock as it was when the present callback began.
nsec loop_now(const struct loop *l);
// Reads the clock again: for whoever is outside of the loop. loop_now follows.
nsec loop_fresh(struct loop *l);
// Returns after loop_stop. May be called again.
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
// The next wait returns at once: `turn` has more to do.
void loop_again(struct loop *l);
// on(ctx, number) for SIGINT and SIGTERM, on the loop's thread. ERR_FULL: no descriptors.
MUST_USE enum err loop_signals(struct loop *l, void (*on)(void *ctx, int number));

// Watches fd, nothing at first; fd stays the caller's and must be open until watch_free. ready: WATCH_* bits; an error
// or hang-up of the descriptor is reported as both. A bit may be reported once after it was taken back. ERR_NOMEM.
MUST_USE enum err watch_new(struct watch **out, struct loop *l, int fd, void (*on)(void *ctx, unsigned ready), void *ctx);
void watch_set(struct watch *w, unsigned want);
// No callback any more, and the descriptor may be closed. NULL is fine.
void watch_free(struct watch *w);

MUST_USE enum err timer_new(struct timer **out, struct loop *l, void (*on)(void *ctx), void *ctx);
// Fires once at `at` or up to a millisecond later; NSEC_NEVER: not.
void timer_set(struct timer *t, nsec at);
void timer_free(struct timer *t);

// waker_wake may be called on any thread: on(ctx) then runs once or more on the loop's.
MUST_USE enum err waker_new(struct waker **out, struct loop *l, void (*on)(void *ctx), void *ctx);
void waker_wake(struct waker *w);
void waker_free(struct waker *w);

/*
 * handoff.pml - the hand-off of shared/handoff.c, for spin (README.md says how to run it)
 *
 * What is modelled
 *   Both sides step by step; each CPU's store buffer, so that a store may reach memory long after the
 *   instructions behind it (x86, ARM); the kernel's futex with its compare-and-sleep and its barriers;
 *   the file locks by which a side knows of the other; numbers that wrap.
 *
 *   Time-outs are NOT there, unless DEATHS is defined: that nobody sleeps for ever must not depend on
 *   them. With DEATHS either side dies at any step and starts anew, and who sleeps wakes in order to
 *   look, as the library does every 80 ms. With GIVES_UP the asker's own patience may end.
 *
 * What is shown
 *   - no state in which somebody sleeps for ever (spin: "invalid end state")
 *   - strict alternation: the memory has one user at a time (assertions on `at_work`)
 *   - an answer that is taken belongs to the request (assertion in take_answer)
 *   - a request is begun only if its asker was seen alive (assertion in serve)
 *   - nobody runs in circles for ever (spin: "non-progress cycle", with each process running on, -f):
 *     no label says "progress", so each cycle counts, and a run that has none ends
 *
 * BROKEN_... breaks one thing each; spin must find an error then.
 */

#define NUMBERS 4       /* they wrap after so many; the first is the last but one */
#define FIRST   2
#ifndef ROUNDS
#define ROUNDS 3
#endif
#ifndef LIVES
#define LIVES 2         /* deaths in all */
#endif

#define ASKER    0
#define ANSWERER 1

/* Places in the shared memory. What is asked and what is answered lie apart. */
#define ASKED    0
#define ANSWERED 1
#define REQUEST  2
#define REPLY    3

byte memory[4];
byte round;             /* the asker's newest request, never the same twice: what `memory` should hold */
bool at_work[2];        /* who uses the memory */

/* ---- the CPU: stores wait in a first-in-first-out buffer; a full barrier waits until it is empty ---- */

chan buffer[2] = [3] of { byte, byte };

#define store(me, place, value) buffer[me]!place,value
#define barrier(me)             empty(buffer[me])

active [2] proctype drain() {
    byte place, value;
end:
    do
    :: d_step { buffer[_pid]?place,value -> memory[place] = value; place = 0; value = 0 }
    od
}

/* ---- the kernel ---- */

bool held[2];           /* the file locks */
bool borrowed;          /* the asker holds the answerer's for a moment */
bool queued[2];         /* whether the side sleeps on its word: the asker on ANSWERED and vice versa */
byte waiters[2];        /* announced sleepers, which a waker looks at before it takes the bucket's lock */
bool dying[2];

inline futex_wake(me, other) {
#ifndef BROKEN_NO_BARRIER
    barrier(me);
#endif
    if
    :: waiters[other] == 0
    :: atomic { waiters[other] > 0 ->       /* under the lock of the hash bucket */
        if
        :: queued[other] -> queued[other] = false; waiters[other]--
        :: else
        fi }
    fi
}

/* Time-outs are looks: at the word, then at the other's lock. */
#if defined DEATHS && !defined BROKEN_NO_LOOK
#define LOOKS(me, other, word, value) memory[word] != value || !held[other]
#else
#define LOOKS(me, other, word, value) false
#endif

inline futex_wait(me, other, word, value) {
    waiters[me]++;
    barrier(me);
    atomic {                                /* under the lock of the hash bucket */
        if
#ifndef BROKEN_NO_COMPARE
        :: memory[word] != value -> waiters[me]--
        :: memory[word] == value -> queued[me] = true
#else
        :: queued[me] = true
#endif
        fi
    }
    if
    :: !queued[me]
    :: atomic { queued[me] && (LOOKS(me, other, word, value)) -> queued[me] = false; waiters[me]-- }
    fi
}

/* The lock is free when all that the dead one did has reached memory. */
inline die(me) {
    atomic {
        barrier(me);
        dying[me] = false; held[me] = false; at_work[me] = false;
        queued[me] = false; waiters[me] = 0;
        if
        :: me == ASKER && borrowed -> held[ANSWERER] = false; borrowed = false
        :: else
        fi
    }
}

/* ---- the asker ---- */

/* In the place of an answerer, so that none comes in between. */
inline withdraw() {
    if
    :: atomic { !held[ANSWERER] -> held[ANSWERER] = true; borrowed = true };
        store(ASKER, ANSWERED, number);
        atomic { barrier(ASKER) -> held[ANSWERER] = false; borrowed = false }
    :: held[ANSWERER]
    fi
}

inline ask() {
    atomic {
        assert(!at_work[ANSWERER]);
        at_work[ASKER] = true;
        round++
    }
#ifndef BROKEN_ASK_FIRST
    store(ASKER, REQUEST, round);
    at_work[ASKER] = false;
#endif
#ifdef BROKEN_WAKE_BEFORE_STORE
    futex_wake(ASKER, ANSWERER);
    store(ASKER, ASKED, number);
#else
    store(ASKER, ASKED, number);
    futex_wake(ASKER, ANSWERER);
#endif
#ifdef BROKEN_ASK_FIRST
    store(ASKER, REQUEST, round);
    at_work[ASKER] = false;
#endif
}

inline take_answer() {
    atomic {
        assert(at_work[ANSWERER] == false);     /* in other words than in ask(): spin's message has them */
        assert(memory[REPLY] == round)
    }
}

proctype asker() {
    byte number, seen, old;
born:
    {
        atomic { !held[ASKER] -> held[ASKER] = true };
        number = memory[ASKED];
        if
        :: memory[ANSWERED] != number -> withdraw()
        :: memory[ANSWERED] == number
        fi;
next:
        if
        :: round >= ROUNDS -> goto done
        :: round < ROUNDS
        fi;
#if !defined BROKEN_LATE && !defined BROKEN_HASTY
        if
        :: memory[ANSWERED] != number -> goto await_late    /* -EBUSY */
        :: memory[ANSWERED] == number
        fi;
#endif
        number = (number + 1) % NUMBERS;
        old = memory[ANSWERED];
        ask();
await:
        seen = memory[ANSWERED];
await_again:
        if
#ifdef BROKEN_LATE
        :: seen != old -> take_answer(); goto next
        :: seen == old ->
#else
        :: seen == number -> take_answer(); goto next
        :: seen != number ->
#endif
            if
#ifdef BROKEN_STALE
            :: futex_wait(ASKER, ANSWERER, ANSWERED, seen); goto await_again
#else
            :: futex_wait(ASKER, ANSWERER, ANSWERED, seen); goto await
#endif
#ifdef GIVES_UP
            :: goto next                    /* -ETIMEDOUT: what comes later is not wanted any more */
#endif
#ifdef DEATHS
            :: !held[ANSWERER] -> withdraw(); goto await_late
#endif
            fi
        fi;
await_late:                                 /* an answer that nobody reads */
        seen = memory[ANSWERED];
        if
        :: seen == number -> goto next
        :: seen != number -> futex_wait(ASKER, ANSWERER, ANSWERED, seen); goto await_late
        fi
    } unless { dying[ASKER] };
    die(ASKER);
    number = 0; seen = 0; old = 0;
    goto born;
done:
    skip
}

/* ---- the answerer ---- */

inline answer(number_) {
    store(ANSWERER, ANSWERED, number_);
    mine = number_;
    futex_wake(ANSWERER, ASKER)
}

inline serve() {
    atomic {
        assert(!at_work[ASKER]);
        assert(met);
        at_work[ANSWERER] = true
    };
    request = memory[REQUEST];
#ifdef BROKEN_LINGERS
    store(ANSWERER, REPLY, request);
    answer(seen);
    at_work[ANSWERER] = false
#else
    store(ANSWERER, REPLY, request);
    at_work[ANSWERER] = false;
    answer(seen)
#endif
}

proctype answerer() {
    byte seen, mine, request;
    bool met;                               /* the asker was seen alive, or heard of since */
born:
    {
        atomic { !held[ANSWERER] -> held[ANSWERER] = true };
        mine = memory[ANSWERED];
await:
        seen = memory[ASKED];
        if
        :: seen != mine ->
            if
            :: met -> serve()
#ifdef BROKEN_BLIND
            :: !met -> serve()
#else
            :: !met && held[ASKER] -> met = true; serve()
#endif
#if defined DEATHS && !defined BROKEN_BLIND
            :: !met && !held[ASKER] -> answer(seen)     /* void */
#endif
            fi;
            goto await
        :: seen == mine
        fi;
        waiters[ANSWERER]++;
        barrier(ANSWERER);
        atomic {
            if
#ifndef BROKEN_NO_COMPARE
            :: memory[ASKED] != seen -> waiters[ANSWERER]--
            :: memory[ASKED] == seen -> queued[ANSWERER] = true
#else
            :: queued[ANSWERER] = true
#endif
            fi
        };
end_idle:                                   /* where it may stay when the asker has had enough */
        if
        :: !queued[ANSWERER]
        :: atomic { queued[ANSWERER] && (LOOKS(ANSWERER, ASKER, ASKED, seen)) ->
            queued[ANSWERER] = false; waiters[ANSWERER]--;
            if
            :: memory[ASKED] == seen && !held[ASKER] -> met = false     /* -EPIPE */
            :: else
            fi }
        fi;
        goto await
    } unless { dying[ANSWERER] };
    die(ANSWERER);
    seen = 0; mine = 0; request = 0; met = false;
    goto born
}

/* ---- fate ---- */

#ifdef DEATHS
proctype fate() {
    byte deaths;
end:
    do
    :: atomic { deaths < LIVES && held[ASKER] && !dying[ASKER] -> dying[ASKER] = true; deaths++ }
#ifdef PROGRESS
    :: break                                /* nobody dies any more: fairness must not ask for it */
#endif
    :: atomic { deaths < LIVES && held[ANSWERER] && !borrowed && !dying[ANSWERER] -> dying[ANSWERER] = true; deaths++ }
    od
}
#endif

init {
    atomic {
        memory[ASKED] = FIRST;
        memory[ANSWERED] = FIRST;
        run asker();
        run answerer();
#ifdef DEATHS
        run fate()
#endif
    }
}

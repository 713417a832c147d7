#include "pace.h"

#include <string.h>

struct pace pace_start(uint64_t period_ns, uint64_t now_ns) {
    return (struct pace){
        .period_ns = period_ns,
        .deadline_ns = now_ns,
        .piece = now_ns / PACE_PIECE_NS,
    };
}

/* Empties the pieces between the newest and that of `now_ns`: no tick fell into them. */
static void go_to_piece(struct pace *pace, uint64_t now_ns) {
    uint64_t piece = now_ns / PACE_PIECE_NS;
    uint64_t passed = piece - pace->piece;
    if (passed >= PACE_PIECES)
        memset(pace->worst_of_piece_ns, 0, sizeof pace->worst_of_piece_ns);
    else
        for (uint64_t i = 1; i <= passed; i++)
            pace->worst_of_piece_ns[(pace->piece + i) % PACE_PIECES] = 0;
    pace->piece = piece;
}

static void note_lateness(struct pace *pace, uint64_t now_ns) {
    uint64_t *worst = &pace->worst_of_piece_ns[pace->piece % PACE_PIECES];
    pace->lateness_ns = now_ns > pace->deadline_ns ? now_ns - pace->deadline_ns : 0;
    if (pace->lateness_ns > *worst)
        *worst = pace->lateness_ns;
    if (pace->lateness_ns > pace->worst_ns)
        pace->worst_ns = pace->lateness_ns;
}

void pace_woke(struct pace *pace, uint64_t now_ns) {
    go_to_piece(pace, now_ns);
    note_lateness(pace, now_ns);
    pace->measured_ns = pace->woke_ns == 0 ? 0 : now_ns - pace->woke_ns;
    pace->woke_ns = now_ns;
    if (now_ns < pace->deadline_ns)
        return;
    uint64_t left_out = pace->lateness_ns / pace->period_ns;
    pace->overruns += left_out;
    pace->deadline_ns += (left_out + 1) * pace->period_ns;
}

uint64_t pace_jitter_ns(const struct pace *pace) {
    uint64_t worst = 0;
    for (int i = 0; i < PACE_PIECES; i++) {
        if (pace->worst_of_piece_ns[i] > worst)
            worst = pace->worst_of_piece_ns[i];
    }
    return worst;
}

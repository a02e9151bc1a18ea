#ifndef CURFEW_BASE_STATUS_H
#define CURFEW_BASE_STATUS_H

/* How an operation went, in every room. What went wrong in a call is said by enum cause (core/cause.h). */
enum status {
    ST_OK,
    ST_AGAIN,  /* not now: wait for the event, then try again */
    ST_EOF,    /* the peer has ended its side in order */
    ST_NOMEM,  /* no memory, or no descriptor */
    ST_LIMIT,  /* a bound of ours is reached */
    ST_BAD,    /* the input breaks its rules */
    ST_FAILED, /* the system or the peer refused; errno or an out-parameter says why */
};

#define MUST_CHECK __attribute__((warn_unused_result))

#endif

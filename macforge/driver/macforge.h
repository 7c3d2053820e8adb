/* Driver of macforge's accelerators. C99, freestanding, no heap.
 *
 * An accelerator takes descriptors of products from a ring in memory. The caller owns all memory: the ring, images of
 * layers, activations and results, at addresses as the accelerator sees them. Nothing here blocks but mf_wait().
 *
 *     static struct mf_device device;
 *     mf_init(&device, &io, ring, ring_address, 4);
 *     mf_submit(&device, &product);
 *     status = mf_wait(&device, 1000000);
 */
#ifndef MACFORGE_H
#define MACFORGE_H

#include <stddef.h>
#include <stdint.h>

#include "macforge_regs.h"

/* Offset of a register. */
#define MF_REGISTER(name) ((uint32_t)offsetof(macforge_t, name))

#define MF_PRODUCT 1u        /* operation of a descriptor */
#define MF_INTERRUPT 1u      /* flag: interrupt when the results are in memory */
#define MF_WAIT_FOR_EARLIER 2u /* flag: read nothing before all earlier results are in memory */

/* What functions return; an error of the accelerator is a positive cause, see enum mf_cause. */
enum mf_status {
    MF_OK = 0,
    MF_BUSY = -1,     /* products are not done yet */
    MF_FULL = -2,     /* the ring has no room */
    MF_TIMEOUT = -3,
    MF_NO_DEVICE = -4, /* no accelerator answers, or one of another version */
    MF_BAD_ARGUMENT = -5
};

/* Why a product was given up. */
enum mf_cause {
    MF_CAUSE_OPERATION = 1,       /* unknown operation or flag */
    MF_CAUSE_ADDRESS = 2,         /* not a multiple of the bus's word, or beyond its addresses */
    MF_CAUSE_SIZE = 3,            /* a size is 0, or more than the engine takes */
    MF_CAUSE_IMAGE = 4,           /* the image was made for another engine */
    MF_CAUSE_OVERRUN = 5,         /* more descriptors than the ring has */
    MF_CAUSE_LENGTH = 6,          /* parts of an image are not as long as its sizes ask for */
    MF_CAUSE_BUS = 7,             /* the bus did not go on for 16,384 cycles */
    MF_CAUSE_READ_DESCRIPTOR = 8, /* the bus answered with an error */
    MF_CAUSE_READ_ACT = 9,
    MF_CAUSE_READ_WEIGHT = 10,
    MF_CAUSE_READ_COLUMN = 11,
    MF_CAUSE_READ_ROW = 12,
    MF_CAUSE_READ_OUTPUT = 13,
    MF_CAUSE_WRITE_RESULT = 14
};

/* A descriptor, 64 bytes, little-endian. */
struct mf_product {
    uint8_t operation;
    uint8_t flags;
    uint16_t reserved;
    uint32_t m;              /* rows of activations and results */
    uint64_t image;          /* addresses as the accelerator sees them: of an image, a multiple of 64 */
    uint64_t act;            /* and of all else, of bytes of the bus */
    uint64_t row;
    uint64_t result;
    uint32_t act_stride;     /* bytes from one row to the next */
    uint32_t result_stride;
    uint32_t result_plane;   /* without a drain edge: bytes from one group's results to the next one's */
    uint32_t row_last_bytes; /* bytes of the last panel's parameters of rows */
    uint32_t panels;         /* m over the rows of a panel, up to a whole number */
    uint32_t reserved_too;
};

/* How registers are reached, and what makes writes to memory visible to the accelerator, and its writes to the caller. */
struct mf_io {
    uint32_t (*read)(void *context, uint32_t offset);
    void (*write)(void *context, uint32_t offset, uint32_t value);
    void (*barrier)(void *context); /* may be 0 */
    void *context;
};

struct mf_device {
    struct mf_io io;
    struct mf_product *ring;
    uint16_t mask;  /* descriptors of the ring, less one */
    uint16_t head;  /* given so far, modulo 65536 */
};

/* Take an accelerator into use, with a ring of 1 << log2_size descriptors at ring_address; whatever it does is dropped. */
int mf_init(struct mf_device *device, const struct mf_io *io, struct mf_product *ring, uint64_t ring_address,
            unsigned log2_size);

/* What an image's head must have, see mf_matches(). */
uint32_t mf_digest(const struct mf_device *device);

/* Whether an image was made for this accelerator. */
int mf_matches(const struct mf_device *device, const void *image);

/* Put products into the ring and ring the doorbell once; MF_FULL if there is no room for all. */
int mf_submit_all(struct mf_device *device, const struct mf_product *products, unsigned count);
int mf_submit(struct mf_device *device, const struct mf_product *product);

/* MF_OK if all products are done, MF_BUSY, or the cause of an error; mf_failed() is then the product's number. */
int mf_poll(struct mf_device *device);
uint16_t mf_failed(const struct mf_device *device);

/* Poll so many times at most. */
int mf_wait(struct mf_device *device, uint32_t polls);

/* After an error: go on with the next product. */
void mf_resume(struct mf_device *device);

/* Number of the next product to be done; those before it are, or were given up. */
uint16_t mf_done(const struct mf_device *device);

/* A counter, such as MF_REGISTER(cycles). */
uint32_t mf_counter(const struct mf_device *device, uint32_t offset);

#endif

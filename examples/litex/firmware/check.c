#include "check.h"

#include <stdio.h>

#include "tile.h"

/* Of the status, until the accelerator must be done. */
#define POLLS 1000000u

static const struct {
    const char *name;
    uint32_t offset;
} counters[] = {
    {"cycles", MF_REGISTER(cycles)},
    {"stall_act", MF_REGISTER(stall_act)},
    {"stall_weight", MF_REGISTER(stall_weight)},
    {"stall_result", MF_REGISTER(stall_result)},
    {"words_read", MF_REGISTER(words_read)},
    {"words_written", MF_REGISTER(words_written)},
    {"products", MF_REGISTER(products)},
};

/* Words, not bytes: a CPU of few gates takes long for each access. Volatile, so that each is done. Reading all back also
 * leaves old contents in the CPU's cache, results that are none among them: they must be gone when the job is done. */
static unsigned load(volatile uint32_t *memory)
{
    unsigned index, wrong = 0;
    for (index = 0; index < TILE_BYTES / 4; index++)
        memory[index] = tile_memory[index];
    for (index = 0; index < TILE_BYTES / 4; index++)
        wrong += memory[index] != tile_memory[index];
    return wrong;
}

static unsigned compare(const uint8_t *results)
{
    unsigned row, col, wrong = 0;
    for (row = 0; row < TILE_ROWS; row++) {
        const volatile tile_result *values = (const volatile tile_result *)(results + row * TILE_RESULT_STRIDE);
        for (col = 0; col < TILE_COLS; col++) {
            tile_result got = values[col];
            if (got != tile_expected[row][col] && !wrong++)
                printf("row %u, column %u: expected %ld, found %ld\n", row, col, (long)tile_expected[row][col], (long)got);
        }
    }
    return wrong;
}

static int failed(const char *what, long code)
{
    printf("%s: %ld\n", what, code);
    return 1;
}

int check_tile(const struct mf_io *io, uint32_t *memory)
{
    static struct mf_device device;
    const uint8_t *bytes = (const uint8_t *)memory;
    unsigned index, wrong = load(memory);
    int status;

    printf("%s: %u x %u x %u\n", TILE_DESIGN, TILE_ROWS, TILE_COLS, TILE_K);
    if (wrong)
        return failed("words of memory that are not what was written", (long)wrong);
    status = mf_init(&device, io, (struct mf_product *)memory, TILE_BASE, TILE_RING_LOG2);
    if (status != MF_OK)
        return failed("mf_init", status);
    if (!mf_matches(&device, bytes + TILE_IMAGE))
        return failed("the image is for another accelerator, this one has digest", (long)mf_digest(&device));
    io->write(io->context, MF_REGISTER(interrupt_enable), MACFORGE__INTERRUPT_ENABLE__DONE_bm);
    status = mf_submit(&device, &tile_product);
    if (status == MF_OK)
        status = mf_wait(&device, POLLS);
    if (status != MF_OK)
        return failed("product", status);
    wrong = compare(bytes + TILE_RESULT);
    for (index = 0; index < sizeof counters / sizeof *counters; index++)
        printf("%s %lu\n", counters[index].name, (unsigned long)mf_counter(&device, counters[index].offset));
    printf("%u of %u results equal\n", TILE_ROWS * TILE_COLS - wrong, TILE_ROWS * TILE_COLS);
    return wrong != 0;
}

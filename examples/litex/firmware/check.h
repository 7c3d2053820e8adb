/* Computes the tile with an accelerator and compares every result; nothing here depends on a board. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>

#include "macforge.h"

/* Load the tile into memory, which the accelerator sees at TILE_BASE, run it, and print what came of it.
 * 0 if all results are the expected ones. The interrupt of the product is then pending. */
int check_tile(const struct mf_io *io, uint32_t *memory);

#endif

/* The tile on a LiteX system: registers on the bus, operands and results in the SDRAM. Begins at reset, without a BIOS. */
#include <stdio.h>

#include <generated/csr.h>
#include <generated/mem.h>
#include <generated/sdram_phy.h>
#include <system.h>

#include "check.h"
#include "tile.h"

/* The accelerator's port of LiteDRAM checks no address: it would write results elsewhere over something else. */
#if TILE_BASE < MAIN_RAM_BASE || TILE_BASE + TILE_BYTES > MAIN_RAM_BASE + MAIN_RAM_SIZE
#error "The tile must lie in the SDRAM"
#endif
#ifdef CONFIG_L2_SIZE
#error "An L2 cache, which barrier() does not flush, must be left out"
#endif

static int put_char(char character, FILE *file)
{
    if (character == '\n')
        put_char('\r', file);
    while (uart_txfull_read())
        ;
    uart_rxtx_write((uint8_t)character);
    return (uint8_t)character;
}

static FILE uart = FDEV_SETUP_STREAM(put_char, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdout = &uart;

static uint32_t read_register(void *context, uint32_t offset)
{
    return *(volatile uint32_t *)((uintptr_t)context + offset);
}

static void write_register(void *context, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)((uintptr_t)context + offset) = value;
}

/* The data cache writes through; what it holds is dropped, so that results are read from memory. */
static void barrier(void *context)
{
    (void)context;
    flush_cpu_dcache();
    __asm__ volatile("" ::: "memory");
}

/* An SDR SDRAM has nothing to be trained. */
static void start_sdram(void)
{
    sdram_dfii_control_write(DFII_CONTROL_CKE | DFII_CONTROL_ODT | DFII_CONTROL_RESET_N);
    init_sequence();
    sdram_dfii_control_write(DFII_CONTROL_SEL);
}

/* The line is high while the interrupt is pending, and low when it was cleared. */
static int check_interrupt(const struct mf_io *io)
{
    uint32_t before = accelerator_ev_status_read(), after;
    io->write(io->context, MF_REGISTER(interrupt_status), MACFORGE__INTERRUPT_STATUS__DONE_bm);
    after = accelerator_ev_status_read();
    printf("interrupt %lu, cleared %lu\n", (unsigned long)before, (unsigned long)after);
    return before != 1 || after != 0;
}

int main(void)
{
    const struct mf_io io = {read_register, write_register, barrier, (void *)ACCELERATOR_BASE};
    uint32_t cycles;
    int wrong;

    timer0_load_write(0xffffffff);
    timer0_en_write(1);
    start_sdram();
    wrong = check_tile(&io, (uint32_t *)TILE_BASE) || check_interrupt(&io);
    timer0_update_value_write(1);
    cycles = 0xffffffff - timer0_value_read();
    printf("%lu cycles since reset\n", (unsigned long)cycles);
    printf(wrong ? "FAILED\n" : "PASSED\n");
#ifdef CSR_SIM_FINISH_BASE
    sim_finish_finish_write(1);
#endif
    for (;;)
        ;
}

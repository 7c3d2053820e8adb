#include "macforge.h"

/* A descriptor is what the accelerator reads. */
typedef char mf_product_has_64_bytes[sizeof(struct mf_product) == 64 ? 1 : -1];

static uint32_t get(const struct mf_device *device, uint32_t offset)
{
    return device->io.read(device->io.context, offset);
}

static void put(const struct mf_device *device, uint32_t offset, uint32_t value)
{
    device->io.write(device->io.context, offset, value);
}

static void barrier(const struct mf_device *device)
{
    if (device->io.barrier)
        device->io.barrier(device->io.context);
}

int mf_init(struct mf_device *device, const struct mf_io *io, struct mf_product *ring, uint64_t ring_address,
            unsigned log2_size)
{
    uint32_t polls;
    if (log2_size > 15 || ring_address % sizeof(struct mf_product))
        return MF_BAD_ARGUMENT;
    device->io = *io;
    device->ring = ring;
    device->mask = (uint16_t)((1u << log2_size) - 1);
    device->head = 0;
    if (get(device, MF_REGISTER(id)) != MACFORGE__ID__VALUE_reset || get(device, MF_REGISTER(version)) != MACFORGE__VERSION__VALUE_reset)
        return MF_NO_DEVICE;
    put(device, MF_REGISTER(control), MACFORGE__CONTROL__RESET_bm);
    /* as soon as the bus is quiet */
    for (polls = 0; get(device, MF_REGISTER(status)) & (MACFORGE__STATUS__BUSY_bm | MACFORGE__STATUS__ERROR_bm); polls++)
        if (polls == 100000)
            return MF_TIMEOUT;
    put(device, MF_REGISTER(queue_base_low), (uint32_t)ring_address);
    put(device, MF_REGISTER(queue_base_high), (uint32_t)(ring_address >> 32));
    put(device, MF_REGISTER(queue_size), log2_size);
    put(device, MF_REGISTER(interrupt_status), 3);
    put(device, MF_REGISTER(control), MACFORGE__CONTROL__ENABLE_bm | MACFORGE__CONTROL__CLEAR_bm);
    return MF_OK;
}

uint32_t mf_digest(const struct mf_device *device)
{
    return get(device, MF_REGISTER(digest));
}

int mf_matches(const struct mf_device *device, const void *image)
{
    const uint8_t *bytes = image;
    uint32_t digest = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return digest == mf_digest(device);
}

int mf_submit_all(struct mf_device *device, const struct mf_product *products, unsigned count)
{
    unsigned index, under_way = (uint16_t)(device->head - mf_done(device));
    if (count > (unsigned)device->mask + 1 - under_way)
        return MF_FULL;
    for (index = 0; index < count; index++) {
        device->ring[(uint16_t)(device->head + index) & device->mask] = products[index];
    }
    device->head = (uint16_t)(device->head + count);
    barrier(device);
    put(device, MF_REGISTER(queue_head), device->head);
    return MF_OK;
}

int mf_submit(struct mf_device *device, const struct mf_product *product)
{
    return mf_submit_all(device, product, 1);
}

int mf_poll(struct mf_device *device)
{
    uint32_t status = get(device, MF_REGISTER(status));
    if (status & MACFORGE__STATUS__ERROR_bm)
        return (int)get(device, MF_REGISTER(error_cause));
    if (status & MACFORGE__STATUS__BUSY_bm)
        return MF_BUSY;
    barrier(device);
    return MF_OK;
}

uint16_t mf_failed(const struct mf_device *device)
{
    return (uint16_t)get(device, MF_REGISTER(error_index));
}

int mf_wait(struct mf_device *device, uint32_t polls)
{
    int status;
    do {
        status = mf_poll(device);
        if (status != MF_BUSY)
            return status;
    } while (polls--);
    return MF_TIMEOUT;
}

void mf_resume(struct mf_device *device)
{
    put(device, MF_REGISTER(status), MACFORGE__STATUS__ERROR_bm);
}

uint16_t mf_done(const struct mf_device *device)
{
    return (uint16_t)get(device, MF_REGISTER(queue_tail));
}

uint32_t mf_counter(const struct mf_device *device, uint32_t offset)
{
    return get(device, offset);
}

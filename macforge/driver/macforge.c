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
    if (get(device, MF_REG_ID) != MF_ID || get(device, MF_REG_VERSION) != MF_VERSION)
        return MF_NO_DEVICE;
    put(device, MF_REG_CONTROL, MF_CONTROL_RESET);
    /* as soon as the bus is quiet */
    for (polls = 0; get(device, MF_REG_STATUS) & (MF_STATUS_BUSY | MF_STATUS_ERROR); polls++)
        if (polls == 100000)
            return MF_TIMEOUT;
    put(device, MF_REG_QUEUE_BASE_LOW, (uint32_t)ring_address);
    put(device, MF_REG_QUEUE_BASE_HIGH, (uint32_t)(ring_address >> 32));
    put(device, MF_REG_QUEUE_SIZE, log2_size);
    put(device, MF_REG_INTERRUPT_STATUS, 3);
    put(device, MF_REG_CONTROL, MF_CONTROL_ENABLE | MF_CONTROL_CLEAR_COUNTERS);
    return MF_OK;
}

uint32_t mf_digest(const struct mf_device *device)
{
    return get(device, MF_REG_DIGEST);
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
    put(device, MF_REG_QUEUE_HEAD, device->head);
    return MF_OK;
}

int mf_submit(struct mf_device *device, const struct mf_product *product)
{
    return mf_submit_all(device, product, 1);
}

int mf_poll(struct mf_device *device)
{
    uint32_t status = get(device, MF_REG_STATUS);
    if (status & MF_STATUS_ERROR)
        return (int)get(device, MF_REG_ERROR_CAUSE);
    if (status & MF_STATUS_BUSY)
        return MF_BUSY;
    barrier(device);
    return MF_OK;
}

uint16_t mf_failed(const struct mf_device *device)
{
    return (uint16_t)get(device, MF_REG_ERROR_INDEX);
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
    put(device, MF_REG_STATUS, MF_STATUS_ERROR);
}

uint16_t mf_done(const struct mf_device *device)
{
    return (uint16_t)get(device, MF_REG_QUEUE_TAIL);
}

uint32_t mf_counter(const struct mf_device *device, uint32_t offset)
{
    return get(device, offset);
}

/* Gradient of the weights of a depthwise convolution on channels-last images, stride 1, zero padding.
 *
 * Sixteen channels at a time: the image is copied once, padded and as float, so that the inner loops have no borders;
 * seven sums of a row of the kernel stay in registers while a row of the image passes by. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16
#define LARGEST 7

typedef float lanes __attribute__((vector_size(4 * LANES)));

static inline void widen(float *to, const void *from, int64_t first, int64_t count, int is_bfloat16) {
    if (!is_bfloat16) {
        memcpy(to, (const float *)from + first, count * sizeof(float));
        return;
    }
    const uint16_t *half = (const uint16_t *)from + first;
    uint32_t *bits = (uint32_t *)to;
    for (int64_t i = 0; i < count; i++) bits[i] = (uint32_t)half[i] << 16;
}

/* Adds sixteen channels of one event to sums of shape (size, size, LANES). */
static void add_event(lanes *sums, const lanes *image, const lanes *gradient, int64_t height, int64_t width,
                      int64_t size) {
    const int64_t padded = width + size - 1;
    for (int64_t y = 0; y < height; y++)
        for (int64_t row = 0; row < size; row++) {
            const lanes *x = image + (y + row) * padded;
            const lanes *g = gradient + y * width;
            lanes sum[LARGEST];
            for (int k = 0; k < LARGEST; k++) sum[k] = k < size ? sums[row * size + k] : (lanes){0};
            if (size == LARGEST)
                for (int64_t i = 0; i < width; i++)
                    for (int k = 0; k < LARGEST; k++) sum[k] += g[i] * x[i + k];
            else
                for (int64_t i = 0; i < width; i++)
                    for (int k = 0; k < size; k++) sum[k] += g[i] * x[i + k];
            for (int k = 0; k < size; k++) sums[row * size + k] = sum[k];
        }
}

/* image, gradient: (events, height, width, channels), contiguous, float or bfloat16; channels a multiple of 16, size odd
 * and at most 7. result: (size, size, channels), float, is overwritten. Returns 0, or 1 without memory. */
int depthwise_weight_gradient(const void *image, const void *gradient, float *result, int64_t events, int64_t height,
                              int64_t width, int64_t channels, int64_t size, int is_bfloat16) {
    const int64_t border = size / 2, padded = width + size - 1, rows = height + size - 1;
    lanes *x = aligned_alloc(sizeof(lanes), rows * padded * sizeof(lanes));
    lanes *g = aligned_alloc(sizeof(lanes), height * width * sizeof(lanes));
    if (!x || !g) {
        free(x);
        free(g);
        return 1;
    }
    memset(x, 0, rows * padded * sizeof(lanes));
    for (int64_t block = 0; block < channels; block += LANES) {
        lanes sums[LARGEST * LARGEST] = {{0}};
        for (int64_t event = 0; event < events; event++) {
            for (int64_t y = 0; y < height; y++)
                for (int64_t i = 0; i < width; i++) {
                    const int64_t place = ((event * height + y) * width + i) * channels + block;
                    widen((float *)(x + (y + border) * padded + i + border), image, place, LANES, is_bfloat16);
                    widen((float *)(g + y * width + i), gradient, place, LANES, is_bfloat16);
                }
            add_event(sums, x, g, height, width, size);
        }
        for (int64_t k = 0; k < size * size; k++) memcpy(result + k * channels + block, &sums[k], sizeof(lanes));
    }
    free(x);
    free(g);
    return 0;
}

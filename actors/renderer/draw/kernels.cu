// The GPU's kernels. The same text is compiled by NVRTC for the device and, in tests, by a host compiler.
//
// A kernel is a function of one sample or of one block of 2 x 2 luma samples, and KERNEL adds the launch around it.
// In floats only + - * /, fmaf, floor and rint are used, and neither compiler may contract or reorder (--fmad=false,
// -ffp-contract=off), so that host and device give the same bytes. What each step means: recipe.py, cpu.py, looks.py.
// Structs are mirrored, field by field, in kernels.py.

typedef unsigned char u8;
typedef unsigned int u32;

#ifdef __CUDACC_RTC__
#define DEVICE __device__ __forceinline__
#if __CUDA_ARCH__ >= 700
#define ONCE __grid_constant__  // read where it lies; without it every thread may make a copy
#else
#define ONCE
#endif
#define KERNEL(name, Arguments)                                                                  \
    extern "C" __global__ void name(const ONCE Arguments a, const int width, const int height) { \
        const int x = blockIdx.x * blockDim.x + threadIdx.x;                                     \
        const int y = blockIdx.y * blockDim.y + threadIdx.y;                                     \
        if (x < width && y < height) name##_at(a, x, y);                                         \
    }
#else
#include <math.h>
#define DEVICE static inline
#define KERNEL(name, Arguments)                                                   \
    extern "C" void name(const Arguments* a, const int width, const int height) { \
        for (int y = 0; y < height; y++)                                          \
            for (int x = 0; x < width; x++) name##_at(*a, x, y);                  \
    }
#endif

// Samples, 8 bit. pitch, step: bytes from row to row, and from sample to sample: 2 in the chroma of NV12.
struct Plane {
    u8* at;
    int pitch, step, width, height;
};

DEVICE int clamped(int value, int least, int most) { return value < least ? least : value > most ? most : value; }
DEVICE u8 level(float value) { return (u8)clamped((int)rintf(value), 0, 255); }
DEVICE u8& sample(const Plane& p, int x, int y) { return p.at[(long long)y * p.pitch + (long long)x * p.step]; }
DEVICE int edge(const Plane& p, int x, int y) {
    return sample(p, clamped(x, 0, p.width - 1), clamped(y, 0, p.height - 1));
}

// Averages --------------------------------------------------------------------------------------------

// Means of blocks of by x by samples; the last samples complete the last blocks. By two: half up; else to even.
struct Average {
    Plane from, to;
    int by;
};

DEVICE void average_at(const Average& a, int x, int y) {
    int sum = 0;
    for (int j = 0; j < a.by; j++)
        for (int i = 0; i < a.by; i++) sum += edge(a.from, x * a.by + i, y * a.by + j);
    sample(a.to, x, y) = a.by == 2 ? (u8)((sum + 2) >> 2) : level((float)sum * (1.0f / (float)(a.by * a.by)));
}
KERNEL(average, Average)

// Blurs -----------------------------------------------------------------------------------------------

// One axis of a convolution whose taps sum to 256. before, after: tables of levels, or null.
struct Blur {
    Plane from, to;
    const int* taps;
    const u8 *before, *after;
    unsigned short* between;  // (height, width): the sums of the rows, not rounded
    int reach;
};

DEVICE void blur_rows_at(const Blur& a, int x, int y) {
    int sum = 0;
    for (int i = -a.reach; i <= a.reach; i++) {
        const int value = edge(a.from, x + i, y);
        sum += a.taps[i + a.reach] * (a.before ? a.before[value] : value);
    }
    a.between[(long long)y * a.from.width + x] = (unsigned short)sum;
}
KERNEL(blur_rows, Blur)

DEVICE void blur_columns_at(const Blur& a, int x, int y) {
    int sum = 0;
    for (int j = -a.reach; j <= a.reach; j++) {
        const int row = clamped(y + j, 0, a.from.height - 1);
        sum += a.taps[j + a.reach] * (int)a.between[(long long)row * a.from.width + x];
    }
    const int value = level((float)sum / 65536.0f);
    sample(a.to, x, y) = a.after ? a.after[value] : (u8)value;
}
KERNEL(blur_columns, Blur)

// Means of `length` samples, odd, along x.
struct Smear {
    Plane from, to;
    int length;
};

DEVICE void smear_at(const Smear& a, int x, int y) {
    int sum = 0;
    for (int i = -(a.length / 2); i <= a.length / 2; i++) sum += edge(a.from, x + i, y);
    sample(a.to, x, y) = (u8)((2 * sum + a.length) / (2 * a.length));
}
KERNEL(smear, Smear)

// Chroma that shines: (C - 128) share + 128. shares: by the level of Y, 256 of them.
struct Tinge {
    Plane luma, chroma, to;
    const float* shares;
};

DEVICE void tinge_at(const Tinge& a, int x, int y) {
    const float share = a.shares[edge(a.luma, x, y)];
    sample(a.to, x, y) = level((float)(sample(a.chroma, x, y) - 128) * share + 128.0f);
}
KERNEL(tinge, Tinge)

// Geometry --------------------------------------------------------------------------------------------

// One axis of a map that turns nothing, from its anchor to both sides; see sampling.py. last: where it is mirrored, the
// last output, else -1.
struct Axis {
    double step;
    int at, anchor, last;
};

// How one plane of a picture is read. kind: 0 along `axes` (of output x, of output y), as OpenCV's linear resize does,
// in 1/2048 of a sample, but as kind 1 where x is in strip[0]..strip[1] or y in strip[2]..strip[3], and in the parts of
// bits `by_warp`: 1 << (1 if before the anchor along x, + 2 if before that along y), which begin at `begins`: x before
// and after the anchor, y before and after; 1 by `map`, (2, 3), from index to index, as its affine warp does, in float.
struct Sampling {
    Plane from;
    double map[6];
    Axis axes[2];
    int kind, turned, strip[4], by_warp, begins[4];
};

// The map begins at output (left, top). One coordinate per row is rounded first: so does the warp of OpenCV 5.
DEVICE int warped(const Sampling& s, int left, int top, int x, int y) {
    const double* m = s.map;
    const float m2 = (float)(m[2] + (m[0] * left + m[1] * top)), m5 = (float)(m[5] + (m[3] * left + m[4] * top));
    const float rest_x = (float)(y - top) * (float)m[1] + m2, rest_y = (float)(y - top) * (float)m[4] + m5;
    const float across = fmaf((float)m[0], (float)(x - left), rest_x);
    const float down = fmaf((float)m[3], (float)(x - left), rest_y);
    const float column = floorf(across), row = floorf(down);
    const float fx = across - column, fy = down - row;
    const int i = (int)column, j = (int)row;
    const float a = (float)edge(s.from, i, j), b = (float)edge(s.from, i + 1, j);
    const float c = (float)edge(s.from, i, j + 1), d = (float)edge(s.from, i + 1, j + 1);
    const float above = fmaf(fx, b - a, a), below = fmaf(fx, d - c, c);
    return level(fmaf(fy, below - above, above));
}

// Two samples of an axis and their weights, of 2048.
struct Pair {
    int near, far, near_weight, far_weight, before;
};

DEVICE Pair pair(const Axis& a, int output) {
    const int d = a.last < 0 ? output : a.last - output;
    const bool before = d < a.at;
    const int way = before ? a.at - 1 - d : d - a.at;
    const float place = (float)((way + 0.5) * a.step - 0.5);
    const float whole = floorf(place), part = place - whole;
    const int near = before ? a.anchor - 1 - (int)whole : a.anchor + (int)whole;
    return {near, before ? near - 1 : near + 1, (int)rintf((1.0f - part) * 2048.0f), (int)rintf(part * 2048.0f),
            before};
}

DEVICE int resampled(const Sampling& s, int x, int y) {
    if (s.kind == 1) return warped(s, 0, 0, x, y);
    if (y >= s.strip[2] && y < s.strip[3]) return warped(s, 0, s.strip[2], x, y);
    if (x >= s.strip[0] && x < s.strip[1]) return warped(s, s.strip[0], 0, x, y);
    const Pair h = pair(s.axes[0], x), v = pair(s.axes[1], y);
    if (s.by_warp >> (h.before + 2 * v.before) & 1) return warped(s, s.begins[!h.before], s.begins[2 + !v.before], x, y);
    int a, b, c, d;
    if (s.turned) {
        a = edge(s.from, v.near, h.near), b = edge(s.from, v.near, h.far);
        c = edge(s.from, v.far, h.near), d = edge(s.from, v.far, h.far);
    } else {
        a = edge(s.from, h.near, v.near), b = edge(s.from, h.far, v.near);
        c = edge(s.from, h.near, v.far), d = edge(s.from, h.far, v.far);
    }
    if (s.axes[0].step == 2.0 && s.axes[1].step == 2.0) return (a + b + c + d + 2) >> 2;
    const int above = (a * h.near_weight + b * h.far_weight) >> 4, below = (c * h.near_weight + d * h.far_weight) >> 4;
    return (((above * v.near_weight) >> 16) + ((below * v.far_weight) >> 16) + 2) >> 2;
}

// One plane of one layer by itself, where it must be blurred before it takes its place.
struct Place {
    Sampling of;
    Plane to;
};

DEVICE void place_at(const Place& a, int x, int y) { sample(a.to, x, y) = (u8)resampled(a.of, x, y); }
KERNEL(place, Place)

// The frame -------------------------------------------------------------------------------------------

// A picture in a box; then level * gain + offset.
struct Layer {
    Sampling of[3];
    int left, top, right, bottom;
    float gain, offset[3];
};

// Layers first..end; of those that cover a sample the last one counts. mix: its share; rest: of what is before it.
struct Scene {
    int first, end, ground[3];
    float mix, rest;
};

// Null: that part does nothing. gains: of Cb, then Cr; sums: for Cb what Y, Cb, Cr give, then for Cr; atlas: of Y, Cb,
// Cr, 16 by 16 tiles of side x side.
struct Look {
    const u8 *luma, *gains;
    const float* sums;
    const u8* atlas[3];
    float node;
    int side;
};

struct Stamp {
    Plane keep[2], ink[3];
    int row, column;
};

// What is done with each block of 2 x 2 luma and 1 chroma samples. No scenes: goes on from what is in `out`.
struct Compose {
    Plane out[3];
    const Layer* layers;
    const Scene* scenes;
    Look look;
    Plane soft;         // luma, blurred: luma * sharpen + soft * detail; null: no sharpening
    Plane lit[3];       // glow, smaller by lit_step, chroma by half of it; null: none
    Plane keep[2];      // vignette; null: none
    Plane ink[2];
    Plane grain[2];     // noise that lightens, and that darkens; null: none
    const Stamp* stamps;
    int scene_count, stamp_count, lit_step, grain_row, grain_column;
    float sharpen, detail, glow, gain, offset[3];
};

struct Block {
    int y[4], c[2];
};

// Rounded, and never halfway between two levels.
DEVICE int over255(int a, int b) { return (2 * a * b + 255) / 510; }
DEVICE int weighted(int a, float alpha, int b, float beta, float gamma) {
    return level(fmaf((float)a, alpha, fmaf((float)b, beta, gamma)));
}
DEVICE int faded(int value, float gain, float offset) { return level(fmaf((float)value, gain, offset)); }
DEVICE int enlarged(const Plane& p, int step, int x, int y) {
    const Axis axis = {1.0 / step, 0, 0, -1};
    const Sampling s = {p, {}, {axis, axis}, 0, 0, {}, 0, {}};
    return resampled(s, x, y);
}

DEVICE Block shown(const Compose& a, const Scene& scene, int x, int y) {
    Block b;
    for (int i = scene.end - 1; i >= scene.first; i--) {
        const Layer& l = a.layers[i];
        if (2 * x < l.left || 2 * x >= l.right || 2 * y < l.top || 2 * y >= l.bottom) continue;
        for (int k = 0; k < 4; k++) b.y[k] = resampled(l.of[0], 2 * x - l.left + (k & 1), 2 * y - l.top + (k >> 1));
        for (int k = 0; k < 2; k++) b.c[k] = resampled(l.of[1 + k], x - l.left / 2, y - l.top / 2);
        if (l.gain != 1.0f) {
            for (int k = 0; k < 4; k++) b.y[k] = faded(b.y[k], l.gain, l.offset[0]);
            for (int k = 0; k < 2; k++) b.c[k] = faded(b.c[k], l.gain, l.offset[1 + k]);
        }
        return b;
    }
    for (int k = 0; k < 4; k++) b.y[k] = scene.ground[0];
    for (int k = 0; k < 2; k++) b.c[k] = scene.ground[1 + k];
    return b;
}

DEVICE Block mixed(const Compose& a, int x, int y) {
    Block b = {{16, 16, 16, 16}, {128, 128}};
    for (int i = 0; i < a.scene_count; i++) {
        const Scene& scene = a.scenes[i];
        const Block over = shown(a, scene, x, y);
        if (scene.mix >= 1.0f) {
            b = over;
            continue;
        }
        for (int k = 0; k < 4; k++) b.y[k] = weighted(b.y[k], scene.rest, over.y[k], scene.mix, 0.0f);
        for (int k = 0; k < 2; k++) b.c[k] = weighted(b.c[k], scene.rest, over.c[k], scene.mix, 0.0f);
    }
    return b;
}

// Linear in Cb and Cr within the tile of a level of Y.
DEVICE int tabled(const Look& look, const u8* atlas, int y, int cb, int cr) {
    const int pitch = 16 * look.side;
    const float across = (float)(y % 16 * look.side) + (float)cr * look.node;
    const float down = (float)(y / 16 * look.side) + (float)cb * look.node;
    const Plane p = {(u8*)atlas, pitch, 1, pitch, pitch};
    const Sampling s = {p, {0.0, 0.0, across, 0.0, 0.0, down}, {}, 1, 0, {}, 0, {}};
    return warped(s, 0, 0, 0, 0);
}

DEVICE int mean(const Block& b) { return (b.y[0] + b.y[1] + b.y[2] + b.y[3] + 2) >> 2; }

DEVICE void looked(const Look& look, Block& b) {
    if (look.luma)
        for (int k = 0; k < 4; k++) b.y[k] = look.luma[b.y[k]];
    if (look.gains)
        for (int k = 0; k < 2; k++) b.c[k] = look.gains[256 * k + b.c[k]];
    if (look.sums) {
        const int m = mean(b), cb = b.c[0], cr = b.c[1];
        for (int k = 0; k < 2; k++) {
            const float* sums = look.sums + 768 * k;
            const float total = sums[m] + sums[256 + cb] + sums[512 + cr];
            b.c[k] = (int)rintf(total < 16.0f ? 16.0f : total > 240.0f ? 240.0f : total);
        }
    }
    if (look.atlas[0]) {
        const int m = mean(b), cb = b.c[0], cr = b.c[1];
        for (int k = 0; k < 4; k++) b.y[k] = tabled(look, look.atlas[0], b.y[k], cb, cr);
        for (int k = 0; k < 2; k++) b.c[k] = tabled(look, look.atlas[1 + k], m, cb, cr);
    }
}

DEVICE int grained(const Compose& a, int value, int x, int y) {
    const int column = (x + a.grain_column) % a.grain[0].width, row = (y + a.grain_row) % a.grain[0].height;
    const int weight = (8 * value * (255 - value) + 255) / 510;
    const int lighter = clamped(value + over255(weight, sample(a.grain[0], column, row)), 0, 255);
    return clamped(lighter - over255(weight, sample(a.grain[1], column, row)), 0, 255);
}

DEVICE int stamped(const Stamp& stamp, int plane, int value, int x, int y) {
    const Plane &keep = stamp.keep[plane > 0], &ink = stamp.ink[plane];
    const int half = plane > 0 ? 2 : 1;
    const int column = x - stamp.column / half, row = y - stamp.row / half;
    if (column < 0 || row < 0 || column >= keep.width || row >= keep.height) return value;
    return clamped(over255(value, sample(keep, column, row)) + sample(ink, column, row), 0, 255);
}

// Everything after the look, for one sample.
DEVICE int finished(const Compose& a, int plane, int value, int x, int y) {
    if (plane == 0 && a.soft.at) value = weighted(value, a.sharpen, sample(a.soft, x, y), a.detail, 0.0f);
    if (a.lit[0].at) {
        if (plane == 0) {
            const int light = enlarged(a.lit[0], a.lit_step, x, y), room = clamped(235 - value, 0, 255);
            value = clamped(value + (2 * light * room + 219) / 438, 0, 255);
        } else {
            const int light = enlarged(a.lit[plane], a.lit_step / 2, x, y);
            value = weighted(value, 1.0f, light, a.glow, -128.0f * a.glow);
        }
    }
    if (a.keep[0].at) {
        const int part = plane > 0;
        value = clamped(over255(value, sample(a.keep[part], x, y)) + sample(a.ink[part], x, y), 0, 255);
    }
    if (plane == 0 && a.grain[0].at) value = grained(a, value, x, y);
    if (a.gain != 1.0f || a.offset[plane] != 0.0f) value = faded(value, a.gain, a.offset[plane]);
    for (int i = 0; i < a.stamp_count; i++) value = stamped(a.stamps[i], plane, value, x, y);
    return value;
}

DEVICE void compose_at(const Compose& a, int x, int y) {
    Block b;
    if (a.scene_count) {
        b = mixed(a, x, y);
    } else {
        for (int k = 0; k < 4; k++) b.y[k] = sample(a.out[0], 2 * x + (k & 1), 2 * y + (k >> 1));
        for (int k = 0; k < 2; k++) b.c[k] = sample(a.out[1 + k], x, y);
    }
    looked(a.look, b);
    for (int k = 0; k < 4; k++) {
        const int column = 2 * x + (k & 1), row = 2 * y + (k >> 1);
        sample(a.out[0], column, row) = (u8)finished(a, 0, b.y[k], column, row);
    }
    for (int k = 0; k < 2; k++) sample(a.out[1 + k], x, y) = (u8)finished(a, 1 + k, b.c[k], x, y);
}
KERNEL(compose, Compose)

// The rounding of the weights, and the optimizers.

// What changes from step to step.
struct Step {
    float muon;         // rate of the matrices
    float adam;         // of the embedding and the head
    float gain;         // of the norms' gains
    float momentum;     // of Muon
    float first, second; // what Adam's moments lack of their full size, as factors
    float frozen;       // whether 2:4 weights of zero stay zero
};

// Formats, as `formats.rs` numbers them.
#define W2_SPARSE 0u
#define W2_DENSE 1u

// Whether a column is one of the two of its four that 2:4 keeps; those of equal size: the first ones.
DEVICE bool kept_of_four(float w) {
    int i = threadIdx.x & 3;
    float a = __shfl_xor_sync(FULL, w, 1), b = __shfl_xor_sync(FULL, w, 2), c = __shfl_xor_sync(FULL, w, 3);
    return (a > w || (a == w && (i ^ 1) < i)) + (b > w || (b == w && (i ^ 2) < i)) + (c > w || (c == w && (i ^ 3) < i)) < 2;
}

// A row to W2: levels 1 and 2 of two columns of four, or 1 and 3 of all (`w2.rs` says how). `step` has room for a number a group.
DEVICE void round_w2(const float* weights, bf16* out, int groups, float* step, bool dense) {
    int lane = threadIdx.x % 32;
    float upper = dense ? 3.0f : 2.0f, edge = dense ? 2.0f : 1.5f, begin = dense ? 64.0f : 24.0f, widest = 0;
    for (int g = 0; g < groups; g++) {
        float w = fabsf(weights[g * GROUP + lane]);
        bool kept = kept_of_four(w) || dense;
        if (!kept) w = 0;
        float s = warp_sum(w) / begin;
#pragma unroll
        for (int turn = 0; turn < 3; turn++) {
            float level = !kept ? 0.0f : w < edge * s ? 1.0f : upper;
            float over = warp_sum(w * level), under = warp_sum(level * level);
            s = over / under;
        }
        if (lane == 0) step[g] = s;
        widest = fmaxf(widest, s);
    }
    __syncwarp();
    float unit = widest / 255.0f;
    for (int g = 0; g < groups; g++) {
        float x = weights[g * GROUP + lane], w = fabsf(x);
        bool kept = kept_of_four(w) || dense;
        float scale = unit > 0 ? fminf(fmaxf(floorf(step[g] / unit + 0.5f), 1.0f), 255.0f) : 0.0f;
        float level = w < edge * (scale * unit) ? 1.0f : upper;
        float q = !kept ? 0.0f : (x < 0 ? -level : level) * scale * unit;
        out[g * GROUP + lane] = down(q);
    }
}

// A row to W4 (`w4.rs` says how). `step` has room for two numbers a group.
DEVICE void round_w4(const float* weights, bf16* out, int groups, float* step) {
    int lane = threadIdx.x % 32;
    float *offset = step + groups, unit = 0;
    for (int g = 0; g < groups; g++) {
        float w = weights[g * GROUP + lane], high = warp_max(w), low = -warp_max(-w);
        float s = fmaxf((high - low) / 15.0f, fmaxf(high, -low) / 127.0f), o = (low + high) / 2.0f + s / 2.0f;
        for (int turn = 0; turn < 2 && s > 0; turn++) {
            float level = fminf(fmaxf(roundf((w - o) / s), -8.0f), 7.0f);
            float l1 = warp_sum(level), l2 = warp_sum(level * level), w1 = warp_sum(w), wl = warp_sum(w * level);
            float over = wl - w1 * l1 / GROUP, under = l2 - l1 * l1 / GROUP;
            if (over > 0 && under > 0) {
                s = over / under;
                o = (w1 - s * l1) / GROUP;
            }
        }
        if (lane == 0) step[g] = s, offset[g] = o;
        if (s > 0) unit = fmaxf(unit, fmaxf(s / 255.0f, fabsf(o) / (OFFSET * 127.0f)));
    }
    __syncwarp();
    for (int g = 0; g < groups; g++) {
        float w = weights[g * GROUP + lane], q = 0;
        if (step[g] > 0 && unit > 0) {
            float scale = fminf(fmaxf(roundf(step[g] / unit), 1.0f), 255.0f);
            float code = fminf(fmaxf(roundf(offset[g] / (unit * OFFSET)), -128.0f), 127.0f);
            float level = fminf(fmaxf(roundf((w - code * OFFSET * unit) / (scale * unit)), -8.0f), 7.0f);
            q = (level * scale + OFFSET * code) * unit;
        }
        out[g * GROUP + lane] = down(q);
    }
}

// Rows of matrices that lie `stride` apart, each matrix to its format; `formats` has them `apart` numbers from each other. A
// warp a row; grid: rows / 4, matrices.
KERNEL round_weights(const float* weights, bf16* out, int rows, int cols, u64 stride, const u32* formats, int apart) {
    SHARED(float, steps);
    int warp = threadIdx.x / 32, groups = cols / GROUP, row = blockIdx.x * (blockDim.x / 32) + warp;
    if (row >= rows) return;
    u64 at = blockIdx.y * stride + (u64)row * cols;
    float* step = steps + warp * 2 * groups;
    u32 format = formats[blockIdx.y * apart];
    if (format <= W2_DENSE) round_w2(weights + at, out + at, groups, step, format == W2_DENSE);
    else round_w4(weights + at, out + at, groups, step);
}

// Weights that 2:4 drops become zero, where that is the format. Grid: pieces, matrices as of `round_weights`.
KERNEL drop(float* weights, u64 count, u64 stride, const u32* formats, int apart) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count || formats[blockIdx.y * apart] != W2_SPARSE) return;
    float* w = weights + blockIdx.y * stride + i;
    if (!kept_of_four(fabsf(*w))) *w = 0;
}

// `v`, or zero for a weight that was dropped for good.
DEVICE float4 where_kept(float4 v, float4 w) {
    return make_float4(w.x ? v.x : 0, w.y ? v.y : 0, w.z ? v.z : 0, w.w ? v.w : 0);
}

// Momentum, and the direction of the step in bf16 with the sum of its squares. Grid: pieces, matrices of `count` weights
// `stride` apart.
KERNEL muon_begin(const float* weights, const float* gradient, float* moment, bf16* x, float* squares, u64 count, u64 stride,
                  const Step* now, const u32* formats, int apart) {
    u64 at = blockIdx.y * stride;
    bool frozen = now->frozen && formats[blockIdx.y * apart] == W2_SPARSE;
    float mu = now->momentum, sum = 0;
    for (u64 i = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * 4; i < count; i += (u64)gridDim.x * blockDim.x * 4) {
        float4 g = *(const float4*)(gradient + at + i), m = *(float4*)(moment + at + i);
        if (frozen) {
            float4 w = *(const float4*)(weights + at + i);
            g = where_kept(g, w), m = where_kept(m, w);
        }
        m.x = fmaf(mu, m.x, g.x), m.y = fmaf(mu, m.y, g.y), m.z = fmaf(mu, m.z, g.z), m.w = fmaf(mu, m.w, g.w);
        *(float4*)(moment + at + i) = m;
        g.x = fmaf(mu, m.x, g.x), g.y = fmaf(mu, m.y, g.y), g.z = fmaf(mu, m.z, g.z), g.w = fmaf(mu, m.w, g.w);
        *(uint2*)(x + at + i) = make_uint2(pack(g.x, g.y), pack(g.z, g.w));
        sum += g.x * g.x + g.y * g.y + g.z * g.z + g.w * g.w;
    }
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) atomicAdd(&squares[blockIdx.y], sum);
}

// Divides by the norm.
KERNEL muon_scale(bf16* x, const float* squares, u64 count, u64 stride) {
    u64 at = blockIdx.y * stride;
    float f = 1.0f / (sqrtf(squares[blockIdx.y]) * 1.02f + 1e-30f);
    for (u64 i = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * 4; i < count; i += (u64)gridDim.x * blockDim.x * 4) {
        uint2 v = *(uint2*)(x + at + i);
        *(uint2*)(x + at + i) = make_uint2(pack(low_of(v.x) * f, high_of(v.x) * f), pack(low_of(v.y) * f, high_of(v.y) * f));
    }
}

KERNEL muon_end(float* weights, const bf16* x, u64 count, u64 stride, u64 x_stride, float factor, const Step* now,
                const u32* formats, int apart) {
    u64 at = blockIdx.y * stride;
    bool frozen = now->frozen && formats[blockIdx.y * apart] == W2_SPARSE;
    float rate = now->muon * factor;
    for (u64 i = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * 4; i < count; i += (u64)gridDim.x * blockDim.x * 4) {
        uint2 v = *(const uint2*)(x + blockIdx.y * x_stride + i);
        float4 w = *(float4*)(weights + at + i), d = make_float4(low_of(v.x), high_of(v.x), low_of(v.y), high_of(v.y));
        if (frozen) d = where_kept(d, w);
        w.x -= rate * d.x, w.y -= rate * d.y, w.z -= rate * d.z, w.w -= rate * d.w;
        *(float4*)(weights + at + i) = w;
    }
}

// Adam; `gain` picks the rate. The weights also as bf16 where there is room for them.
KERNEL adam(float* weights, const float* gradient, float* m, float* v, bf16* rounded, u64 count, int gain, const Step* now) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float g = gradient[i], a = m[i] = fmaf(0.9f, m[i], 0.1f * g), b = v[i] = fmaf(0.98f, v[i], 0.02f * g * g);
    float w = weights[i] -= (gain ? now->gain : now->adam) * (a * now->first) / (sqrtf(b * now->second) + 1e-12f);
    if (rounded) rounded[i] = down(w);
}

// Adds up a sum of the words that depends on their places, the same in any order of adding.
KERNEL checksum(const u32* words, u32* sum, u64 count) {
    u32 mine = 0;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (u64)gridDim.x * blockDim.x)
        mine += words[i] * (2 * (u32)i + 1);
    atomicAdd(sum, mine);
}

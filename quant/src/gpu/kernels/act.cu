// RoPE and the rounding of q, k and v; SwiGLU and the rounding of its output.

// Walsh-Hadamard transform of a head, spread over the lanes of a warp.
DEVICE void hadamard(float* x) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int h = 1; h < 32; h <<= 1) {
#pragma unroll
        for (int i = 0; i < OF_HEAD; i++) {
            float other = __shfl_xor_sync(FULL, x[i], h);
            x[i] = lane & h ? other - x[i] : x[i] + other;
        }
    }
#pragma unroll
    for (int h = 1; h < OF_HEAD; h <<= 1) {
#pragma unroll
        for (int i = 0; i < OF_HEAD; i++) {
            if (i & h) continue;
            float a = x[i], b = x[i + h];
            x[i] = a + b, x[i + h] = a - b;
        }
    }
}
// Pair `lead` and pair 0 in each other's place.
DEVICE void put_first(float* x, int lead) {
    int lane = threadIdx.x % 32, from = lead % 32;
#pragma unroll
    for (int half = 0; half < OF_HEAD; half += OF_HEAD / 2) {
        float first = __shfl_sync(FULL, x[half], 0);
#pragma unroll
        for (int i = 0; i < OF_HEAD / 2; i++) {
            if (i != lead / 32) continue;
            float led = __shfl_sync(FULL, x[half + i], from);
            if (lane == from) x[half + i] = first;
            if (lane == 0) x[half] = led;
        }
    }
}
// To 16 levels between the extremes, as `head.rs::key_head`.
DEVICE void round_key(float* x, int lead) {
    put_first(x, lead);
    hadamard(x);
    float low = x[0], high = x[0];
#pragma unroll
    for (int i = 1; i < OF_HEAD; i++) low = fminf(low, x[i]), high = fmaxf(high, x[i]);
    low = -warp_max(-low), high = warp_max(high);
    float step = (high - low) / 15.0f;
    if (step > 0) {
#pragma unroll
        for (int i = 0; i < OF_HEAD; i++) x[i] = low + roundf((x[i] - low) / step) * step;
    }
    hadamard(x);
    put_first(x, lead);
#pragma unroll
    for (int i = 0; i < OF_HEAD; i++) x[i] /= HEAD;
}
// To 255 levels, as `head.rs::query_head`.
DEVICE void round_query(float* x, int lead) {
    put_first(x, lead);
    hadamard(x);
    float most = 0;
#pragma unroll
    for (int i = 0; i < OF_HEAD; i++) most = fmaxf(most, fabsf(x[i]));
    float step = warp_max(most) / 127.0f;
    if (step > 0) {
#pragma unroll
        for (int i = 0; i < OF_HEAD; i++) x[i] = roundf(x[i] / step) * step;
    }
    hadamard(x);
    put_first(x, lead);
#pragma unroll
    for (int i = 0; i < OF_HEAD; i++) x[i] /= HEAD;
}
// Turns the pairs of a head by the angles of its position, forward or (sign -1) back.
DEVICE void turn(float* x, const float2* angles, float sign) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < OF_HEAD / 2; i++) {
        float2 angle = angles[lane + 32 * i];
        float a = x[i], b = x[i + OF_HEAD / 2], sine = sign * angle.y;
        x[i] = a * angle.x - b * sine;
        x[i + OF_HEAD / 2] = b * angle.x + a * sine;
    }
}
DEVICE void load_head(float* x, const bf16* from) {
#pragma unroll
    for (int i = 0; i < OF_HEAD; i++) x[i] = up(from[threadIdx.x % 32 + 32 * i]);
}
DEVICE void store_head(bf16* to, const float* x) {
#pragma unroll
    for (int i = 0; i < OF_HEAD; i++) to[threadIdx.x % 32 + 32 * i] = down(x[i]);
}

// Rotates q and k of rows of `length` positions, and rounds q, k and v where `value_step` is given, with the leading pair of
// each KV head in `leads`. A warp a head.
KERNEL rope(bf16* qkv, const float2* angles, int length, int rows, const float* value_step, const u32* leads) {
    u64 id = (u64)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    int head = id % (HEADS + 2 * KV_HEADS);
    u64 row = id / (HEADS + 2 * KV_HEADS);
    if (row >= rows) return;
    bf16* at = qkv + row * QKV + head * HEAD;
    float x[OF_HEAD];
    load_head(x, at);
    if (head >= HEADS + KV_HEADS) {
        if (!value_step) return;
        float s = *value_step;
#pragma unroll
        for (int i = 0; i < OF_HEAD; i++) x[i] = round_to(x[i], s, -8, 7);
    } else {
        turn(x, angles + (row % length) * HALF, 1);
        if (value_step && head < HEADS) round_query(x, leads[head / (HEADS / KV_HEADS)]);
        if (value_step && head >= HEADS) round_key(x, leads[head - HEADS]);
    }
    store_head(at, x);
}

// The derivative: rounding passes it on.
KERNEL rope_back(bf16* dqkv, const float2* angles, int length, int rows) {
    u64 id = (u64)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    int head = id % (HEADS + KV_HEADS);
    u64 row = id / (HEADS + KV_HEADS);
    if (row >= rows) return;
    bf16* at = dqkv + row * QKV + head * HEAD;
    float x[OF_HEAD];
    load_head(x, at);
    turn(x, angles + (row % length) * HALF, -1);
    store_head(at, x);
}

// The values of the first `rows` rows, side by side.
KERNEL copy_values(const bf16* qkv, bf16* to, int rows) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    const int width = KV_HEADS * HEAD;
    if (i < (u64)rows * width) to[i] = qkv[i / width * QKV + QKV - width + i % width];
}

#define BLOCK_COLS 256
#define BLOCKS_OF_ROW ((FFN + BLOCK_COLS - 1) / BLOCK_COLS)

// (h + half of 2^e) >> e, as `accllm_hw::fixed::rs`.
DEVICE int shift(int h, int e) { return e ? (h + (1 << (e - 1))) >> e : h; }

// silu(gate) * up of `[rows, 2 FFN]`, with int8 codes and an exponent for 256 columns of a row if there is a step; a warp for
// each such block.
KERNEL swiglu(const bf16* gate_up, bf16* h, int rows, const float* step, u32* most) {
    int lane = threadIdx.x % 32;
    u64 id = (u64)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    u64 row = id / BLOCKS_OF_ROW;
    if (row >= rows) return;
    int col = id % BLOCKS_OF_ROW * BLOCK_COLS + lane * 8;
    float v[8];
    bool in = col < FFN;
    for (int i = 0; i < 8; i++) v[i] = 0;
    if (in) {
        uint4 g = *(const uint4*)(gate_up + row * 2 * FFN + col), u = *(const uint4*)(gate_up + row * 2 * FFN + FFN + col);
        u32 gs[4] = {g.x, g.y, g.z, g.w}, us[4] = {u.x, u.y, u.z, u.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float a = low_of(gs[i]), b = high_of(gs[i]);
            v[2 * i] = a / (1.0f + __expf(-a)) * low_of(us[i]);
            v[2 * i + 1] = b / (1.0f + __expf(-b)) * high_of(us[i]);
        }
    }
    if (most) {
        float largest = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) largest = fmaxf(largest, fabsf(v[i]));
        largest = warp_max(largest);
        if (lane == 0) record_max(most, largest);
    }
    if (step) {
        float s = *step, low = 0, high = 0;
        float code[8];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            code[i] = fminf(fmaxf(roundf(v[i] / s), H_MIN), H_MAX);
            low = fminf(low, code[i]), high = fmaxf(high, code[i]);
        }
        int least = (int)-warp_max(-low), largest = (int)warp_max(high), e = 0;
        while (e < EXPONENT_MAX && (shift(least, e) < -128 || shift(largest, e) > 127)) e++;
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] = (float)shift((int)code[i], e) * (float)(1 << e) * s;
    }
    if (in) {
        *(uint4*)(h + row * FFN + col) =
            make_uint4(pack(v[0], v[1]), pack(v[2], v[3]), pack(v[4], v[5]), pack(v[6], v[7]));
    }
}

KERNEL swiglu_back(const bf16* dh, const bf16* gate_up, bf16* d_gate_up, int rows) {
    u64 id = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u64 row = id / (FFN / 8), col = id % (FFN / 8) * 8;
    if (row >= rows) return;
    u64 at = row * 2 * FFN + col;
    uint4 g = *(const uint4*)(gate_up + at), u = *(const uint4*)(gate_up + at + FFN);
    uint4 d = *(const uint4*)(dh + row * FFN + col);
    u32 gs[4] = {g.x, g.y, g.z, g.w}, us[4] = {u.x, u.y, u.z, u.w}, ds[4] = {d.x, d.y, d.z, d.w}, dg[4], du[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float ga[2] = {low_of(gs[i]), high_of(gs[i])}, ua[2] = {low_of(us[i]), high_of(us[i])};
        float da[2] = {low_of(ds[i]), high_of(ds[i])}, og[2], ou[2];
#pragma unroll
        for (int k = 0; k < 2; k++) {
            float s = 1.0f / (1.0f + __expf(-ga[k])), silu = ga[k] * s;
            ou[k] = da[k] * silu;
            og[k] = da[k] * ua[k] * (s + silu * (1.0f - s));
        }
        dg[i] = pack(og[0], og[1]), du[i] = pack(ou[0], ou[1]);
    }
    *(uint4*)(d_gate_up + at) = make_uint4(dg[0], dg[1], dg[2], dg[3]);
    *(uint4*)(d_gate_up + at + FFN) = make_uint4(du[0], du[1], du[2], du[3]);
}

// Writing text: one token of each of many sequences at a time.

// Rotates q in place and puts k and v into the cache [sequences, KV heads, room, HEAD]; a warp a head.
KERNEL decode_rope(bf16* qkv, bf16* keys, bf16* values, const float2* angles, int sequences, int room, const u32* position) {
    u64 id = (u64)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    int head = id % (HEADS + 2 * KV_HEADS);
    u64 row = id / (HEADS + 2 * KV_HEADS), at = *position;
    if (row >= sequences) return;
    bf16* to = qkv + row * QKV + head * HEAD;
    float x[OF_HEAD];
    load_head(x, to);
    if (head < HEADS + KV_HEADS) turn(x, angles + at * HALF, 1);
    if (head >= HEADS + KV_HEADS) to = values + ((row * KV_HEADS + head - HEADS - KV_HEADS) * room + at) * HEAD;
    else if (head >= HEADS) to = keys + ((row * KV_HEADS + head - HEADS) * room + at) * HEAD;
    store_head(to, x);
}

// The state of a sequence: its beginning in the pool, tokens since, how many its document still gets, and where that starts.
struct Writer {
    u32 prompt, age, left, start;
};

#define GROUP_HEADS (HEADS / KV_HEADS)
#define DECODE_WARPS 4
// Lanes that share a key, eight elements each, and keys that a block has at a time.
#define SHARING (HEAD / 8)
#define SETS (DECODE_WARPS * 32 / SHARING)

// Attention of one query of each head, to the tokens of its document. A block for each sequence and KV head; the lanes of a key keep a sum of their own, joined
// at the end.
KERNEL decode_attention(const bf16* qkv, const bf16* keys, const bf16* values, bf16* out, const Writer* writers, int room,
                        const u32* position) {
    __shared__ float parts[SETS][GROUP_HEADS][HEAD + 2];
    int part = threadIdx.x % SHARING, set = threadIdx.x / SHARING;
    u64 row = blockIdx.x / KV_HEADS, kv = blockIdx.x % KV_HEADS;
    int count = *position + 1, start = writers[row].start;
    if (start >= count) start = count - 1;
    float q[GROUP_HEADS][8], o[GROUP_HEADS][8], most[GROUP_HEADS], sum[GROUP_HEADS];
#pragma unroll
    for (int h = 0; h < GROUP_HEADS; h++) {
        uint4 x = *(const uint4*)(qkv + row * QKV + (kv * GROUP_HEADS + h) * HEAD + part * 8);
        u32 w[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
        for (int i = 0; i < 4; i++) q[h][2 * i] = low_of(w[i]) * (SCORE_SCALE * LOG2_E), q[h][2 * i + 1] = high_of(w[i]) * (SCORE_SCALE * LOG2_E);
#pragma unroll
        for (int i = 0; i < 8; i++) o[h][i] = 0;
        most[h] = -1e30f, sum[h] = 0;
    }
    const bf16* k = keys + blockIdx.x * (u64)room * HEAD + part * 8;
    const bf16* v = values + blockIdx.x * (u64)room * HEAD + part * 8;
    // All lanes of a warp take the same turns.
    for (int first = start; first < count; first += SETS) {
        int at = first + set;
        bool in = at < count;
        uint4 kx = in ? *(const uint4*)(k + (u64)at * HEAD) : make_uint4(0, 0, 0, 0);
        uint4 vx = in ? *(const uint4*)(v + (u64)at * HEAD) : make_uint4(0, 0, 0, 0);
        u32 kw[4] = {kx.x, kx.y, kx.z, kx.w}, vw[4] = {vx.x, vx.y, vx.z, vx.w};
#pragma unroll
        for (int h = 0; h < GROUP_HEADS; h++) {
            float s = 0;
#pragma unroll
            for (int i = 0; i < 4; i++) s = fmaf(q[h][2 * i], low_of(kw[i]), fmaf(q[h][2 * i + 1], high_of(kw[i]), s));
            s += __shfl_xor_sync(FULL, s, 1);
            s += __shfl_xor_sync(FULL, s, 2);
            s += __shfl_xor_sync(FULL, s, 4);
            if (SHARING > 8) s += __shfl_xor_sync(FULL, s, 8);
            if (!in) s = -1e30f;
            if (s > most[h]) {
                float less = exp2_fast(most[h] - s);
                most[h] = s;
                sum[h] *= less;
#pragma unroll
                for (int i = 0; i < 8; i++) o[h][i] *= less;
            }
            float p = in ? exp2_fast(s - most[h]) : 0.0f;
            sum[h] += p;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                o[h][2 * i] = fmaf(p, low_of(vw[i]), o[h][2 * i]);
                o[h][2 * i + 1] = fmaf(p, high_of(vw[i]), o[h][2 * i + 1]);
            }
        }
    }
#pragma unroll
    for (int h = 0; h < GROUP_HEADS; h++) {
#pragma unroll
        for (int i = 0; i < 8; i++) parts[set][h][part * 8 + i] = o[h][i];
        if (part == 0) parts[set][h][HEAD] = most[h], parts[set][h][HEAD + 1] = sum[h];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < GROUP_HEADS * HEAD; i += DECODE_WARPS * 32) {
        int h = i / HEAD;
        float top = -1e30f, all = 0, x = 0;
        for (int s = 0; s < SETS; s++) top = fmaxf(top, parts[s][h][HEAD]);
        for (int s = 0; s < SETS; s++) {
            float f = exp2_fast(parts[s][h][HEAD] - top);
            all = fmaf(f, parts[s][h][HEAD + 1], all);
            x = fmaf(f, parts[s][h][i % HEAD], x);
        }
        out[row * (HEADS * HEAD) + (kv * GROUP_HEADS) * HEAD + i] = down(x / all);
    }
}

DEVICE u32 mixed(u32 x) {
    x ^= x >> 16, x *= 0x7feb352du, x ^= x >> 15, x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

// The next token of each sequence, a block each (`position[1]` is the number of the first): forced while its beginning lasts; the
// likeliest for three tokens after a beginning of one token; else drawn (the largest of logit plus Gumbel noise) from those whose
// logit is at most -`least` below the largest. A document ends with an end token or when it has had its tokens, `shortest` and up
// to `more` besides; then comes a new one, or what `then` says: twice the number of a beginning that follows an end token, with 1
// added if it follows the last token instead (two times of three), all ones for none.
KERNEL sample(const bf16* logits, u32* text, Writer* writers, const u32* prompts, const u32* lengths, const u32* then, int pool,
              int longest, float least, int shortest, int more, u32 end, u32 other_end, u32 seed, int room, const u32* position) {
    __shared__ float best[32];
    __shared__ u32 which[32];
    u32 row = blockIdx.x, at = *position, first = position[1];
    Writer w = writers[row];
    u32 length = lengths[w.prompt];
    bool forced = w.age < length, likeliest = length == 1 && w.age < 4;
    u32 noise = mixed(seed ^ mixed((first + row) * 2654435761u ^ mixed(at)));
    float most = -1e30f;
    u32 token = 0;
    if (!forced) {
        const uint4* z = (const uint4*)(logits + (u64)row * VOCAB);
        float top = -1e30f;
        for (int i = threadIdx.x; i < VOCAB / 8; i += blockDim.x) {
            uint4 x = z[i];
            u32 v[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
            for (int k = 0; k < 4; k++) top = fmaxf(top, fmaxf(low_of(v[k]), high_of(v[k])));
        }
        top = warp_max(top);
        if (threadIdx.x % 32 == 0) best[threadIdx.x / 32] = top;
        __syncthreads();
        for (int i = 0; i < blockDim.x / 32; i++) top = fmaxf(top, best[i]);
        __syncthreads();
        float cut = likeliest ? top : top + least;
        for (int i = threadIdx.x; i < VOCAB / 8; i += blockDim.x) {
            uint4 x = z[i];
            u32 v[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
            for (int k = 0; k < 8; k++) {
                u32 id = i * 8 + k;
                float s = k & 1 ? high_of(v[k / 2]) : low_of(v[k / 2]);
                if (s < cut) continue;
                s -= __logf(-__logf(((mixed(noise ^ (id * 0x9e3779b9u)) >> 8) + 0.5f) * (1.0f / 16777216.0f)));
                if (s > most) most = s, token = id;
            }
        }
        for (int s = 16; s; s >>= 1) {
            float m = __shfl_xor_sync(FULL, most, s);
            u32 t = __shfl_xor_sync(FULL, token, s);
            if (m > most || (m == most && t < token)) most = m, token = t;
        }
        if (threadIdx.x % 32 == 0) best[threadIdx.x / 32] = most, which[threadIdx.x / 32] = token;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        if (forced) {
            token = prompts[w.prompt * longest + w.age];
        } else {
            for (int i = 1; i < blockDim.x / 32; i++)
                if (best[i] > most) most = best[i], token = which[i];
            w.left--;
        }
        w.age++;
        bool ended = !forced && (token == end || token == other_end), full = !forced && w.left == 0;
        if (ended || full) {
            u32 next = then[w.prompt];
            bool on = next != FULL && (next & 1 ? !ended && mixed(noise + 3) % 3 : !full);
            w.age = 0, w.prompt = on ? next >> 1 : mixed(noise + 1) % pool;
            if (!on) w.start = at + 2;
            if (full || !on) w.left = shortest + mixed(noise + 2) % (more + 1);
        }
        writers[row] = w;
        text[(u64)row * room + at + 1] = token;
    }
}

// The tokens at the current position, embedded.
KERNEL decode_embed(const u32* text, const float* table, float* x, int sequences, int room, const u32* position) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u64 row = i / (HIDDEN / 4), part = i % (HIDDEN / 4);
    if (row < sequences) ((float4*)x)[i] = ((const float4*)table)[(u64)text[row * room + *position] * (HIDDEN / 4) + part];
}

KERNEL next_position(u32* position) { *position += 1; }

// Runs the kernels on a CPU, for tests where there is no card: the threads of a block are fibers that take turns at barriers and
// at what a warp does together. One block at a time; no speed is meant.
#define CUDA_ON_CPU
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __shared__ static
#define __launch_bounds__(...)
#define DEVICE static inline
#define __expf expf
#define __logf logf
#define SHARED(type, name) type* name = (type*)dynamic_shared

struct dim { unsigned x, y, z; };
struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
static uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static float2 make_float2(float x, float y) { return {x, y}; }
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

static dim threadIdx, blockIdx, blockDim, gridDim;
alignas(128) static unsigned char dynamic_shared[1 << 18];

struct Meeting { int came = 0, turn = 0; };
struct Lane { uint32_t words[16]; const void* address; };
struct Fiber { ucontext_t context; bool done; std::vector<char> stack; };

static std::vector<Fiber> fibers;
static ucontext_t outside;
static int current;
static Meeting block_meeting, warp_meeting[32];
static Lane deposits[32][2][32];

static void others() { swapcontext(&fibers[current].context, &outside); }
static void meet(Meeting& m, int size) {
    int turn = m.turn;
    if (++m.came == size) m.came = 0, m.turn++;
    else while (m.turn == turn) others();
}
static void __syncthreads() { meet(block_meeting, blockDim.x); }
static void __syncwarp() { meet(warp_meeting[threadIdx.x / 32], 32); }

// Puts a lane's part down and returns all parts of the warp, once all are there. Two places take turns.
static Lane* exchange(const Lane& mine) {
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, turn = warp_meeting[warp].turn & 1;
    deposits[warp][turn][lane] = mine;
    meet(warp_meeting[warp], 32);
    return deposits[warp][turn];
}
template <class T> static T __shfl_xor_sync(unsigned, T x, int mask) {
    Lane mine;
    memcpy(mine.words, &x, 4);
    Lane* all = exchange(mine);
    memcpy(&x, all[threadIdx.x % 32 ^ mask].words, 4);
    return x;
}
template <class T> static T __shfl_sync(unsigned, T x, int lane) {
    Lane mine;
    memcpy(mine.words, &x, 4);
    Lane* all = exchange(mine);
    memcpy(&x, all[lane].words, 4);
    return x;
}

static uint32_t __float_as_uint(float x) { uint32_t r; memcpy(&r, &x, 4); return r; }
static float __uint_as_float(uint32_t x) { float r; memcpy(&r, &x, 4); return r; }
static float exp2_fast(float x) { return exp2f(x); }
static void atomicMax(uint32_t* p, uint32_t x) { if (x > *p) *p = x; }
static void atomicAdd(float* p, float x) { *p += x; }
static void atomicAdd(uint32_t* p, uint32_t x) { *p += x; }

static uint16_t down(float x) {
    uint32_t b = __float_as_uint(x);
    return (b + 0x7fff + (b >> 16 & 1)) >> 16;
}
static uint32_t pack(float low, float high) { return down(low) | (uint32_t)down(high) << 16; }
static float bf(uint16_t x) { return __uint_as_float((uint32_t)x << 16); }

static void matrices(uint32_t* r, const void* p, bool transposed) {
    Lane mine;
    mine.address = p;
    Lane* all = exchange(mine);
    int lane = threadIdx.x % 32;
    for (int m = 0; m < 4; m++) {
        auto at = [&](int row, int col) { return ((const uint16_t*)all[m * 8 + row].address)[col]; };
        int i = lane / 4, j = lane % 4 * 2;
        r[m] = transposed ? at(j, i) | (uint32_t)at(j + 1, i) << 16 : at(i, j) | (uint32_t)at(i, j + 1) << 16;
    }
}
static void ldmatrix4(uint32_t* r, const void* p) { matrices(r, p, false); }
static void ldmatrix4_t(uint32_t* r, const void* p) { matrices(r, p, true); }
static void mma(float* d, const uint32_t* a, const uint32_t* b) {
    Lane mine;
    memcpy(mine.words, a, 16);
    memcpy(mine.words + 4, b, 8);
    Lane* all = exchange(mine);
    int lane = threadIdx.x % 32;
    for (int i = 0; i < 4; i++) {
        int row = lane / 4 + (i >> 1) * 8, col = lane % 4 * 2 + (i & 1);
        for (int k = 0; k < 16; k++) {
            uint32_t x = all[row % 8 * 4 + k % 8 / 2].words[(row >= 8) + (k >= 8) * 2];
            uint32_t y = all[col * 4 + k % 8 / 2].words[4 + (k >= 8)];
            d[i] += bf(k & 1 ? x >> 16 : x) * bf(k & 1 ? y >> 16 : y);
        }
    }
}
static void copy16(void* to, const void* from) { memcpy(to, from, 16); }
static void copy_commit() {}
template <int N> static void copy_wait() {}

static void (*body)(void**);
static void** body_arguments;
static void enter() {
    body(body_arguments);
    fibers[current].done = true;
    others();
}
template <auto F> struct Call;
template <class... A, void (*F)(A...)> struct Call<F> {
    template <size_t... I> static void with(void** a, std::index_sequence<I...>) { F(*(A*)a[I]...); }
    static void run(void** a) { with(a, std::index_sequence_for<A...>()); }
};

static void run_block(int threads) {
    fibers.resize(threads);
    block_meeting = {};
    for (auto& m : warp_meeting) m = {};
    for (auto& f : fibers) {
        f.done = false;
        f.stack.resize(1 << 16);
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack.data();
        f.context.uc_stack.ss_size = f.stack.size();
        f.context.uc_link = &outside;
        makecontext(&f.context, enter, 0);
    }
    for (bool left = true; left;) {
        left = false;
        for (current = 0; current < threads; current++) {
            if (fibers[current].done) continue;
            left = true;
            threadIdx = {(unsigned)current, 0, 0};
            swapcontext(&outside, &fibers[current].context);
        }
    }
}

struct Entry { const char* name; void (*run)(void**); };
#define ENTRY(f) {#f, Call<f>::run}
static int launch_on_cpu(const Entry* entries, int count, const char* name, const unsigned* grid, unsigned threads, void** arguments) {
    for (int i = 0; i < count; i++) {
        if (strcmp(entries[i].name, name)) continue;
        body = entries[i].run;
        body_arguments = arguments;
        blockDim = {threads, 1, 1};
        gridDim = {grid[0], grid[1], grid[2]};
        for (unsigned z = 0; z < grid[2]; z++)
            for (unsigned y = 0; y < grid[1]; y++)
                for (unsigned x = 0; x < grid[0]; x++) {
                    blockIdx = {x, y, z};
                    memset(dynamic_shared, 0xff, sizeof dynamic_shared);
                    run_block(threads);
                }
        return 0;
    }
    return 1;
}

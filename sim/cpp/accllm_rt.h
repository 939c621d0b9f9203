// Forced into every Verilated translation unit: sends the text the runtime would print on
// standard output to the handle that is being evaluated.
#pragma once
extern "C" int accllm_printf(const char* format, ...) __attribute__((format(printf, 1, 2)));
#define VL_PRINTF accllm_printf

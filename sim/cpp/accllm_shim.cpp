// C interface of one Verilated model. Compiled once per model together with accllm_ports.inc,
// the port list read from Vmodel.h. Nothing here lets a C++ exception or an exit leave the library.
#include "Vmodel.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#define ACCLLM_API extern "C" __attribute__((visibility("default")))

namespace {

constexpr uint32_t ABI_VERSION = 1;
constexpr size_t LOG_LIMIT = 1 << 20;

enum Status : int { OK = 0, FAILED = 1, FATAL = 2, FINISHED = 3 };

struct PortDesc {
    const char* name;
    void* data;
    uint64_t bytes;
    uint32_t bits;
    uint32_t elements;
    uint32_t direction;
};

struct Fatal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Handle {
    std::unique_ptr<VerilatedContext> context;
    std::unique_ptr<Vmodel> model;
#if VM_TRACE
    std::unique_ptr<VerilatedFstC> trace;
#endif
    std::vector<PortDesc> ports;
    CData* clock = nullptr;
    uint64_t half_cycles = 0;
    std::string log;      // text of $display, $warning and the like
    std::string failure;  // text of the failures not yet fetched
    size_t line_start = 0;
    bool failed = false;
    bool dead = false;
    bool finished = false;
};

thread_local Handle* current = nullptr;
thread_local std::string create_error;

void place(const char* filename, int line, const char* text) {
    if (!current) return;
    current->failed = true;
    if (!current->failure.empty()) current->failure += '\n';
    current->failure += text;
    if (filename && *filename) {
        current->failure += " (";
        current->failure += filename;
        current->failure += ':' + std::to_string(line) + ')';
    }
}

// The error text that was printed just before $stop: what follows the last mark, else nothing.
std::string last_printed() {
    if (!current) return {};
    std::string text = current->log.substr(current->line_start);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

int status_of(Handle* handle) {
    if (handle->dead) return FATAL;
    if (handle->failed) return FAILED;
    return handle->finished ? FINISHED : OK;
}

// Runs `body` with the handle current; turns every exception into a latched failure.
template <typename Body>
int guarded(Handle* handle, Body body) {
    if (handle->dead) return FATAL;
    Handle* const outer = current;
    current = handle;
    Verilated::threadContextp(handle->context.get());
    try {
        body();
    } catch (const Fatal&) {
        handle->dead = true;
    } catch (const std::exception& error) {
        place(nullptr, 0, error.what());
        handle->dead = true;
    } catch (...) {
        place(nullptr, 0, "unknown C++ exception");
        handle->dead = true;
    }
    current = outer;
    return status_of(handle);
}

void half(Handle* handle, CData level) {
    *handle->clock = level;
    handle->model->eval();
#if VM_TRACE
    if (handle->trace) handle->trace->dump(handle->half_cycles);
#endif
    handle->half_cycles++;
    handle->context->time(handle->half_cycles);
}

template <typename Signal>
void add_port(Handle* handle, const char* name, Signal& signal, uint32_t bits, uint32_t elements, uint32_t direction) {
    handle->ports.push_back({name, &signal, sizeof(signal), bits, elements, direction});
}

}  // namespace

extern "C" int accllm_printf(const char* format, ...) {
    if (!current) return 0;
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    const int need = std::vsnprintf(nullptr, 0, format, args);
    va_end(args);
    if (need > 0) {
        std::string text(static_cast<size_t>(need) + 1, '\0');
        std::vsnprintf(&text[0], text.size(), format, again);
        text.pop_back();
        if (current->log.size() + text.size() > LOG_LIMIT) current->log.clear();
        current->line_start = current->log.size();
        current->log += text;
    }
    va_end(again);
    return need;
}

void vl_stop(const char* filename, int line, const char*) {
    const std::string text = last_printed();
    const bool printed = text.find("%Error") != std::string::npos || text.find("%Fatal") != std::string::npos;
    if (printed) {
        place(nullptr, 0, text.c_str());
        current->log.resize(current->line_start);
    } else {
        place(filename, line, "$stop");
    }
}

void vl_fatal(const char* filename, int line, const char*, const char* msg) {
    place(filename, line, msg);
    // Returning would let the generated loop run for ever, e.g. when a design does not converge.
    throw Fatal(msg);
}

void vl_finish(const char*, int, const char*) {
    if (current) current->finished = true;
}

void vl_warn(const char* filename, int line, const char*, const char* msg) {
    accllm_printf("%%Warning: %s:%d: %s\n", filename ? filename : "", line, msg);
}

ACCLLM_API uint32_t accllm_abi() { return ABI_VERSION; }

ACCLLM_API const char* accllm_create_error() { return create_error.c_str(); }

ACCLLM_API Handle* accllm_create() {
    create_error.clear();
    std::unique_ptr<Handle> handle;
    try {
        handle = std::make_unique<Handle>();
        handle->context = std::make_unique<VerilatedContext>();
    } catch (...) {
        create_error = "out of memory";
        return nullptr;
    }
    Handle* const raw = handle.get();
    const int status = guarded(raw, [raw] {
#if VM_TRACE
        raw->context->traceEverOn(true);
#endif
        raw->model = std::make_unique<Vmodel>(raw->context.get(), "TOP");
#define ACCLLM_PORT(name, field, bits, elements, direction) \
    add_port(raw, name, raw->model->field, bits, elements, direction);
#include "accllm_ports.inc"
#undef ACCLLM_PORT
    });
    if (status == FATAL) {
        create_error = raw->failure;
        return nullptr;
    }
    return handle.release();
}

ACCLLM_API uint32_t accllm_port_count(const Handle* handle) { return static_cast<uint32_t>(handle->ports.size()); }

ACCLLM_API const PortDesc* accllm_ports(const Handle* handle) { return handle->ports.data(); }

ACCLLM_API int accllm_set_clock(Handle* handle, uint32_t port) {
    if (port >= handle->ports.size() || handle->ports[port].bytes != 1) return FAILED;
    handle->clock = static_cast<CData*>(handle->ports[port].data);
    return OK;
}

ACCLLM_API int accllm_eval(Handle* handle) {
    return guarded(handle, [handle] { handle->model->eval(); });
}

// The caller has checked that a clock is set.
ACCLLM_API int accllm_half(Handle* handle, uint32_t level) {
    return guarded(handle, [handle, level] { half(handle, level ? 1 : 0); });
}

ACCLLM_API int accllm_cycle(Handle* handle, uint64_t count) {
    return guarded(handle, [handle, count] {
        for (uint64_t i = 0; i < count; ++i) {
            half(handle, 0);
            half(handle, 1);
            if (__builtin_expect(handle->failed || handle->finished, 0)) return;
        }
    });
}

ACCLLM_API uint64_t accllm_half_cycles(const Handle* handle) { return handle->half_cycles; }

ACCLLM_API int accllm_finished(const Handle* handle) { return handle->finished ? 1 : 0; }

ACCLLM_API const char* accllm_failure(const Handle* handle) { return handle->failure.c_str(); }

ACCLLM_API void accllm_clear_failure(Handle* handle) {
    handle->failure.clear();
    handle->failed = false;
}

ACCLLM_API const char* accllm_log(const Handle* handle) { return handle->log.c_str(); }

ACCLLM_API void accllm_clear_log(Handle* handle) {
    handle->log.clear();
    handle->line_start = 0;
}

ACCLLM_API int accllm_trace_open(Handle* handle, const char* path) {
#if VM_TRACE
    return guarded(handle, [handle, path] {
        if (handle->trace) handle->trace->close();
        handle->trace = std::make_unique<VerilatedFstC>();
        handle->model->trace(handle->trace.get(), 99);
        handle->trace->open(path);
        if (!handle->trace->isOpen()) {
            handle->trace.reset();
            place(nullptr, 0, "cannot open the trace file");
        }
    });
#else
    (void)path;
    return guarded(handle, [] { place(nullptr, 0, "this model was built without trace_fst"); });
#endif
}

ACCLLM_API int accllm_trace_close(Handle* handle) {
#if VM_TRACE
    return guarded(handle, [handle] {
        if (handle->trace) handle->trace->close();
        handle->trace.reset();
    });
#else
    return status_of(handle);
#endif
}

ACCLLM_API int accllm_final(Handle* handle) {
    return guarded(handle, [handle] { handle->model->final(); });
}

ACCLLM_API void accllm_destroy(Handle* handle) {
    if (!handle) return;
    accllm_trace_close(handle);
    Verilated::threadContextp(handle->context.get());
    handle->model.reset();
    handle->context.reset();
    Verilated::threadContextp(nullptr);
    delete handle;
}

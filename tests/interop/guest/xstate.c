// SPDX-License-Identifier: Apache-2.0
// Preloaded into linux.uml: lets a 6.1 guest kernel run on processors whose register state is larger than AVX2's.
//
// The guest kernel stores 832 bytes of extended state (x87, SSE, AVX) and gives exactly these to PTRACE_SETREGSET. A host
// kernel refuses a buffer shorter than what the processor has, so on AVX-512 or AMX the guest dies at its first user
// process ("ptrace set fp regs failed, errno = 14"). Here such a request is laid over the complete state and set as a
// whole. A request that would set what was just read is left out: a guest kernel does not change the registers of the
// process it serves, and leaving them alone also keeps the AVX-512 half, which the guest kernel cannot carry.
// What remains: two threads of one guest process share that half. The guest's init therefore keeps libc from using it
// (GLIBC_TUNABLES).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
    part_max = 4096,      // bytes of state a guest kernel may keep
    whole_max = 65536,    // bytes of state a processor may have
    header_offset = 512,  // of the XSAVE header: its first 8 bytes say which components are not in their initial state
    slots = 4096,
};

// What was last read from a stopped process. Valid until the process is let run again.
struct Seen {
    pid_t pid;
    size_t size;
    unsigned char state[part_max];
};

static struct Seen seen[slots];
static unsigned char whole[whole_max] __attribute__((aligned(64)));

typedef long (*PtraceCall)(int, pid_t, void*, void*);

static struct Seen* slot_of(pid_t pid) { return &seen[(unsigned)pid % slots]; }

static long set_state(PtraceCall real, pid_t pid, struct iovec* part) {
    struct Seen* last = slot_of(pid);
    if (last->pid == pid && last->size == part->iov_len && memcmp(last->state, part->iov_base, part->iov_len) == 0) return 0;
    last->pid = 0;

    struct iovec full = {whole, sizeof whole};
    if (real(PTRACE_GETREGSET, pid, (void*)NT_X86_XSTATE, &full) < 0) return -1;
    if (full.iov_len > part->iov_len && part->iov_len >= header_offset + 8) {
        unsigned long long mine, others;
        memcpy(&others, whole + header_offset, sizeof others);
        memcpy(whole, part->iov_base, part->iov_len);
        memcpy(&mine, whole + header_offset, sizeof mine);
        mine = (mine & 7) | (others & ~7ULL);  // x87, SSE and AVX are the guest's; the rest stays as it is
        memcpy(whole + header_offset, &mine, sizeof mine);
        return real(PTRACE_SETREGSET, pid, (void*)NT_X86_XSTATE, &full);
    }
    return real(PTRACE_SETREGSET, pid, (void*)NT_X86_XSTATE, part);
}

static long get_state(PtraceCall real, pid_t pid, struct iovec* part) {
    long result = real(PTRACE_GETREGSET, pid, (void*)NT_X86_XSTATE, part);
    struct Seen* last = slot_of(pid);
    last->pid = 0;
    if (result == 0 && part->iov_len <= part_max) {
        memcpy(last->state, part->iov_base, part->iov_len);
        last->size = part->iov_len;
        last->pid = pid;
    }
    return result;
}

long ptrace(enum __ptrace_request request, ...) {
    static PtraceCall real;
    if (!real) real = (PtraceCall)dlsym(RTLD_NEXT, "ptrace");

    va_list arguments;
    va_start(arguments, request);
    pid_t pid = va_arg(arguments, pid_t);
    void* address = va_arg(arguments, void*);
    void* data = va_arg(arguments, void*);
    va_end(arguments);

    if (address == (void*)NT_X86_XSTATE && request == PTRACE_SETREGSET) return set_state(real, pid, data);
    if (address == (void*)NT_X86_XSTATE && request == PTRACE_GETREGSET) return get_state(real, pid, data);
    int reads_or_sets_integers = request == PTRACE_GETREGS || request == PTRACE_SETREGS || request == PTRACE_PEEKUSER ||
                                 request == PTRACE_GETREGSET || request == PTRACE_SETREGSET;
    if (!reads_or_sets_integers && slot_of(pid)->pid == pid) slot_of(pid)->pid = 0;  // it may run: what we saw is stale
    return real(request, pid, address, data);
}

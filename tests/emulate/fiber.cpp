// SPDX-License-Identifier: Apache-2.0
// Stacks, and switching between them.
#include "runtime.hpp"

#if defined(__x86_64__)

// What the calling convention lets a function keep goes onto the stack that is left.
__asm__(".text\n"
        ".globl emulate_switch\n"
        ".hidden emulate_switch\n"
        ".type emulate_switch, @function\n"
        "emulate_switch:\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    retq\n"
        ".size emulate_switch, .-emulate_switch\n");

void *emulate::make_fiber(uint8_t *stack, size_t size_bytes, void (*entry)())
{
    // Six registers, the entry as the return address, and a return address for the entry, which
    // never returns: with it the stack is aligned as after a call.
    void **top = (void **)(stack + size_bytes) - 8;
    memset(top, 0, 8 * sizeof(void *));
    top[6] = (void *)entry;
    return top;
}

#else

#include <ucontext.h>

// A stack's ucontext_t lies at its upper end; the thread that launches has one of its own.
static ucontext_t launching;

static ucontext_t *context_of(void *handle)
{
    return handle ? (ucontext_t *)handle : &launching;
}

void *emulate::make_fiber(uint8_t *stack, size_t size_bytes, void (*entry)())
{
    ucontext_t *context = (ucontext_t *)(stack + size_bytes) - 1;
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = size_bytes - sizeof(*context);
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    return context;
}

static void *running;

extern "C" void emulate_switch(void **save, void *resume)
{
    void *left = running;
    *save = left;
    running = resume;
    swapcontext(context_of(left), context_of(resume));
}

#endif

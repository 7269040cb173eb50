// SPDX-License-Identifier: Apache-2.0
// The instructions of one thread that the kernels use.
#include "ptx.hpp"

#include <cmath>

namespace emulate
{

namespace
{

void do_nothing(const statement &, state &)
{
}

void launch_dependents(const statement &, state &)
{
}

void wait_grid(const statement &, state &)
{
    wait_for_grid();
}

/* ---- Numbers --------------------------------------------------------------------------------- */

float get_float(const statement &s, const state &state, uint32_t group)
{
    return float_of_bits((uint32_t)get(s, state, group));
}

void float_from_f16(const statement &s, state &state)
{
    put(s, state, 0, 0, bits_of_float(float_of_f16((uint16_t)get(s, state, 1))));
}

void f16_from_float(const statement &s, state &state)
{
    put(s, state, 0, 0, f16_of_float(get_float(s, state, 1)));
}

void bf16_from_float(const statement &s, state &state)
{
    put(s, state, 0, 0, bf16_of_float(get_float(s, state, 1)));
}

// The first source goes into the upper half.
void bf16_pair_from_floats(const statement &s, state &state)
{
    put(s, state, 0, 0,
        (uint32_t)bf16_of_float(get_float(s, state, 1)) << 16 |
            bf16_of_float(get_float(s, state, 2)));
}

void f16_pair_from_floats(const statement &s, state &state)
{
    put(s, state, 0, 0,
        (uint32_t)f16_of_float(get_float(s, state, 1)) << 16 |
            f16_of_float(get_float(s, state, 2)));
}

void e4m3_pair_from_floats(const statement &s, state &state)
{
    put(s, state, 0, 0,
        (uint32_t)e4m3_of_float(get_float(s, state, 1)) << 8 |
            e4m3_of_float(get_float(s, state, 2)));
}

void f16_pair_from_e4m3(const statement &s, state &state)
{
    const uint32_t pair = (uint32_t)get(s, state, 1);
    put(s, state, 0, 0,
        (uint32_t)f16_of_float(float_of_e4m3((uint8_t)(pair >> 8))) << 16 |
            f16_of_float(float_of_e4m3((uint8_t)pair)));
}

void power_of_two(const statement &s, state &state)
{
    put(s, state, 0, 0, bits_of_float(exp2f(get_float(s, state, 1))));
}

void logic(const statement &s, state &state)
{
    const uint32_t a = (uint32_t)get(s, state, 1);
    const uint32_t b = (uint32_t)get(s, state, 2);
    const uint32_t c = (uint32_t)get(s, state, 3);
    const uint32_t table = (uint32_t)get(s, state, 4);
    uint32_t result = 0;
    for (uint32_t i = 0; i < 8; i++) {
        if (table >> i & 1)
            result |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
    }
    put(s, state, 0, 0, result);
}

template <float to_float(uint16_t), uint16_t from_float(float)>
void fma_pair(const statement &s, state &state)
{
    uint32_t result = 0;
    for (uint32_t i = 0; i < 2; i++) {
        float values[3];
        for (uint32_t k = 0; k < 3; k++)
            values[k] = to_float((uint16_t)(get(s, state, k + 1) >> (16 * i)));
        result |= (uint32_t)from_float(fmaf(values[0], values[1], values[2])) << (16 * i);
    }
    put(s, state, 0, 0, result);
}

void select(const statement &s, state &state)
{
    put(s, state, 0, 0, get(s, state, 3) ? get(s, state, 1) : get(s, state, 2));
}

/* ---- Memory ---------------------------------------------------------------------------------- */

struct access {
    uint32_t count;
    uint32_t size_bytes;
};

/** How much an instruction moves, from its name: .v2, .v4 and the type at the end. */
access access_of(const char *mnemonic)
{
    const char *type = strrchr(mnemonic, '.') + 2;
    return {strstr(mnemonic, ".v4")   ? 4u
            : strstr(mnemonic, ".v2") ? 2u
                                      : 1u,
            strcmp(type, "64") == 0   ? 8u
            : strcmp(type, "16") == 0 ? 2u
            : *type == '8'            ? 1u
                                      : 4u};
}

void check_aligned(uint64_t address, const access &access)
{
    if (address % (access.count * access.size_bytes) != 0)
        fail("an access of %u bytes to an address that is not a multiple of that",
             access.count * access.size_bytes);
}

void load_global(const statement &s, state &state)
{
    const access access = access_of(s.mnemonic);
    const uint64_t address = get(s, state, 1);
    check_aligned(address, access);
    check_read((const void *)address, access.count * access.size_bytes,
               strstr(s.mnemonic, ".nc") != nullptr, s.mnemonic);
    for (uint32_t i = 0; i < access.count; i++) {
        uint64_t value = 0;
        memcpy(&value, (const uint8_t *)address + i * access.size_bytes, access.size_bytes);
        put(s, state, 0, i, value);
    }
}

void store_global(const statement &s, state &state)
{
    const access access = access_of(s.mnemonic);
    const uint64_t address = get(s, state, 0);
    check_aligned(address, access);
    for (uint32_t i = 0; i < access.count; i++) {
        const uint64_t value = get(s, state, 1, i);
        memcpy((uint8_t *)address + i * access.size_bytes, &value, access.size_bytes);
    }
}

void load_shared(const statement &s, state &state)
{
    const access access = access_of(s.mnemonic);
    const uint32_t address = (uint32_t)get(s, state, 1);
    check_aligned(address, access);
    const uint8_t *from =
        (const uint8_t *)shared_pointer(address, access.count * access.size_bytes);
    for (uint32_t i = 0; i < access.count; i++) {
        uint64_t value = 0;
        memcpy(&value, from + i * access.size_bytes, access.size_bytes);
        put(s, state, 0, i, value);
    }
}

void map_address(const statement &s, state &state)
{
    put(s, state, 0, 0, map_shared((uint32_t)get(s, state, 1), (uint32_t)get(s, state, 2)));
}

void store_in_cluster(const statement &s, state &state)
{
    const access access = access_of(s.mnemonic);
    const uint32_t address = (uint32_t)get(s, state, 0);
    check_aligned(address, access);
    uint8_t *to = (uint8_t *)cluster_pointer(address, access.count * access.size_bytes);
    for (uint32_t i = 0; i < access.count; i++) {
        const uint64_t value = get(s, state, 1, i);
        memcpy(to + i * access.size_bytes, &value, access.size_bytes);
    }
}

void cluster_arrive(const statement &, state &)
{
    arrive_at_cluster();
}

void cluster_wait(const statement &, state &)
{
    wait_for_cluster();
}

void add_atomically(const statement &s, state &state)
{
    const bool returns = strncmp(s.mnemonic, "atom", 4) == 0;
    uint32_t *address = (uint32_t *)get(s, state, returns ? 1 : 0);
    yield();
    const uint32_t old = *address;
    *address = old + (uint32_t)get(s, state, returns ? 2 : 1);
    if (returns)
        put(s, state, 0, 0, old);
}

void prefetch(const statement &s, state &state)
{
    const uint32_t size = s.group_count > 1 ? (uint32_t)get(s, state, 1) : 1;
    check_read((const void *)get(s, state, 0), size, false, s.mnemonic);
}

/* ---- Asynchronous copies --------------------------------------------------------------------- */

void start_copy(const statement &s, state &state)
{
    const uint32_t bytes = (uint32_t)get(s, state, 2);
    const bool partial = s.group_count > 3 && !strstr(s.mnemonic, "cache_hint");
    copy_async((uint32_t)get(s, state, 0), (const void *)get(s, state, 1), bytes,
               partial ? (uint32_t)get(s, state, 3) : bytes);
}

void commit(const statement &, state &)
{
    commit_copies();
}

void wait_group(const statement &s, state &state)
{
    wait_copies((uint32_t)get(s, state, 0));
}

void wait_all(const statement &, state &)
{
    commit_copies();
    wait_copies(0);
}

void start_bulk_copy(const statement &s, state &state)
{
    copy_bulk((uint32_t)get(s, state, 0), (const void *)get(s, state, 1),
              (uint32_t)get(s, state, 2), (uint32_t)get(s, state, 3));
}

void init_barrier(const statement &s, state &state)
{
    barrier_init((uint32_t)get(s, state, 0), (uint32_t)get(s, state, 1));
}

void arrive_expecting(const statement &s, state &state)
{
    barrier_arrive((uint32_t)get(s, state, 1), (uint32_t)get(s, state, 2));
}

void arrive_at_barrier(const statement &s, state &state)
{
    barrier_arrive((uint32_t)get(s, state, 1), 0);
}

void try_wait(const statement &s, state &state)
{
    const bool done = barrier_try_wait((uint32_t)get(s, state, 1), (uint32_t)get(s, state, 2));
    put(s, state, 0, 0, done);
}

/* ---- By name --------------------------------------------------------------------------------- */

const struct {
    const char *mnemonic;
    instruction run;
} instructions[] = {
    {"barrier.cluster.arrive.relaxed.aligned", cluster_arrive},
    {"barrier.cluster.arrive.release.aligned", cluster_arrive},
    {"barrier.cluster.wait.acquire.aligned", cluster_wait},
    {"mapa.shared::cluster.u32", map_address},
    {"griddepcontrol.wait", wait_grid},
    {"griddepcontrol.launch_dependents", launch_dependents},
    {"cvt.f32.f16", float_from_f16},
    {"cvt.rn.f16.f32", f16_from_float},
    {"cvt.rn.bf16.f32", bf16_from_float},
    {"cvt.rn.bf16x2.f32", bf16_pair_from_floats},
    {"cvt.rn.f16x2.f32", f16_pair_from_floats},
    {"cvt.rn.satfinite.e4m3x2.f32", e4m3_pair_from_floats},
    {"cvt.rn.f16x2.e4m3x2", f16_pair_from_e4m3},
    {"ex2.approx.f32", power_of_two},
    {"ex2.approx.ftz.f32", power_of_two},
    {"lop3.b32", logic},
    {"fma.rn.bf16x2", fma_pair<float_of_bf16, bf16_of_float>},
    {"fma.rn.f16x2", fma_pair<float_of_f16, f16_of_float>},
    {"selp.u32", select},
    {"selp.b32", select},
    {"cp.async.cg.shared.global", start_copy},
    {"cp.async.cg.shared.global.L2::cache_hint", start_copy},
    {"cp.async.cg.shared.global.L2::128B", start_copy},
    {"cp.async.cg.shared.global.L2::256B", start_copy},
    {"cp.async.ca.shared.global", start_copy},
    {"cp.async.commit_group", commit},
    {"cp.async.wait_group", wait_group},
    {"cp.async.wait_all", wait_all},
    {"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes", start_bulk_copy},
    {"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint",
     start_bulk_copy},
    {"cp.async.bulk.prefetch.L2.global", prefetch},
    {"prefetch.global.L2", prefetch},
    {"mbarrier.init.shared.b64", init_barrier},
    {"mbarrier.arrive.expect_tx.shared.b64", arrive_expecting},
    {"mbarrier.arrive.shared.b64", arrive_at_barrier},
    {"mbarrier.try_wait.parity.shared.b64", try_wait},
    {"fence.mbarrier_init.release.cluster", do_nothing},
    {"fence.proxy.async", do_nothing},
    {"fence.proxy.async.shared::cta", do_nothing},
    {"fence.acq_rel.gpu", do_nothing},
    {"membar.gl", do_nothing},
    {"createpolicy.fractional.L2::evict_first.b64", do_nothing},
    {"createpolicy.fractional.L2::evict_last.b64", do_nothing},
};

/** Families whose names say how much they move. */
const struct {
    const char *prefix;
    instruction run;
} families[] = {
    {"ld.global.", load_global},           {"ld.acquire.gpu.global.", load_global},
    {"ld.volatile.global.", load_global},  {"ld.relaxed.gpu.global.", load_global},
    {"st.global.", store_global},          {"st.release.gpu.global.", store_global},
    {"st.volatile.global.", store_global}, {"st.relaxed.gpu.global.", store_global},
    {"ld.shared.", load_shared},           {"st.shared::cluster.", store_in_cluster},
};

} // namespace

instruction find_instruction(const char *mnemonic)
{
    for (const auto &entry : instructions) {
        if (strcmp(entry.mnemonic, mnemonic) == 0)
            return entry.run;
    }
    for (const auto &family : families) {
        if (strncmp(mnemonic, family.prefix, strlen(family.prefix)) == 0)
            return family.run;
    }
    const char *end = mnemonic + strlen(mnemonic);
    const bool atomic = strncmp(mnemonic, "atom.", 5) == 0 || strncmp(mnemonic, "red.", 4) == 0;
    if (atomic && strstr(mnemonic, ".add") && strcmp(end - 4, ".u32") == 0)
        return add_atomically;
    return find_matrix_instruction(mnemonic);
}

} // namespace emulate

// SPDX-License-Identifier: Apache-2.0
#include "shape.h"

/** Every lane count up to this is tried, beyond it every eighth. */
#define DENSE_LANES 32
#define MAX_CANDIDATES (DENSE_LANES + (SEGUE_MAX_LANES - DENSE_LANES) / 8 + 1)

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static uint32_t joins_for(const struct segue_cost_model *model, uint32_t to_lanes)
{
    uint32_t limit = model->fan_out_limit > 0 ? model->fan_out_limit : 1;
    return (to_lanes - 1) / limit + 1;
}

static double edges_ns(const struct segue_cost_model *model, double edges, uint32_t fan_out)
{
    return model->edge_ns * edges + (fan_out > model->fan_out_limit ? model->fan_out_ns : 0);
}

double segue_shape_connect(const struct segue_cost_model *model, uint32_t from_lanes,
                           uint32_t to_lanes, struct segue_shape_link *out_link)
{
    uint32_t joins = joins_for(model, to_lanes);
    double from = from_lanes;
    double to = to_lanes;
    *out_link = (struct segue_shape_link){.collect = false, .joins = 0};
    double best = edges_ns(model, from * to, to_lanes);
    double parallel = model->join_ns + edges_ns(model, from * joins + to, joins);
    if (to_lanes > 1 && parallel < best && (from_lanes > 1 || joins > 1)) {
        *out_link = (struct segue_shape_link){.collect = false, .joins = joins};
        best = parallel;
    }
    if (from_lanes == 1 || joins == 1)
        return best;
    double collected = model->join_ns + edges_ns(model, from + to, to_lanes);
    if (collected < best) {
        *out_link = (struct segue_shape_link){.collect = true, .joins = 0};
        best = collected;
    }
    double spread = 2.0 * model->join_ns + edges_ns(model, from + joins + to, joins);
    if (spread < best) {
        *out_link = (struct segue_shape_link){.collect = true, .joins = joins};
        best = spread;
    }
    return best;
}

/** How the commands of a level wait for those of the level before it. */
enum pattern {
    /** One for one: they stay on the lanes where those are. */
    PATTERN_CHAINS,
    /** Each for a few, and few for each: no lane waits for all others. */
    PATTERN_MESH,
    /** All for all, or for one. */
    PATTERN_BARRIER,
};

static enum pattern find_pattern(const struct segue_cost_model *model,
                                 const struct segue_shape_level *level, uint32_t width_before)
{
    if (width_before == 0 || (level->fan_in <= level->width && level->width <= width_before))
        return PATTERN_CHAINS;
    bool few_before = level->fan_in < (uint64_t)level->width * width_before;
    bool few_after = level->fan_in <= (uint64_t)width_before * model->fan_out_limit;
    return few_before && few_after ? PATTERN_MESH : PATTERN_BARRIER;
}

/** What waiting costs the commands of a level on `lanes` lanes. */
static double connect_ns(const struct segue_cost_model *model,
                         const struct segue_shape_level *level, uint32_t width_before,
                         enum pattern pattern, uint32_t lanes)
{
    double fan_in = (double)level->fan_in / level->width;
    if (lanes == 1 || pattern == PATTERN_CHAINS)
        return 0;
    uint32_t from = width_before < lanes ? width_before : lanes;
    if (pattern == PATTERN_MESH && fan_in < from)
        return model->edge_ns * larger(fan_in, 1) * lanes;
    if (fan_in < from)
        from = fan_in > 1 ? (uint32_t)fan_in : 1;
    struct segue_shape_link link;
    return segue_shape_connect(model, from, lanes, &link);
}

/** How long the commands of a level take on that many lanes. */
static double level_ns(const struct segue_cost_model *model, const struct segue_shape_level *level,
                       uint32_t width_before, uint32_t lanes)
{
    double others = lanes - 1.0;
    double work = model->node_ns + (double)level->work_ns / level->width;
    double crowded = work + model->lane_ns * others / 6;
    double cadence = larger(model->node_ns + model->lane_ns * others, model->issue_ns * lanes);
    uint32_t rounds = (level->width - 1) / lanes + 1;
    double area = (double)level->area_ns;
    enum pattern pattern = find_pattern(model, level, width_before);
    double wait = connect_ns(model, level, width_before, pattern, lanes);
    if (pattern != PATTERN_BARRIER)
        return larger(area, rounds * larger(crowded, cadence)) + wait;
    // The first lanes to start have one command more than the others, most of the time.
    uint32_t full = level->width - (rounds - 1) * lanes;
    double first = model->issue_ns * ((full - 1.0) * 7 + others) / 8 + rounds * crowded;
    double last = model->issue_ns * others + (rounds - 1) * crowded;
    double busy = larger(larger(first, last), level->width * cadence / lanes);
    return larger(busy, area) + wait;
}

/** Lane counts worth a try, in rising order. */
struct candidates {
    uint32_t lanes[MAX_CANDIDATES];
    uint32_t count;
};

static void list_candidates(const struct segue_cost_model *model, struct candidates *out)
{
    uint32_t most = model->max_lane_count;
    most = most < 1 ? 1 : most > SEGUE_MAX_LANES ? SEGUE_MAX_LANES : most;
    out->count = 0;
    for (uint32_t lanes = 1; lanes <= most; lanes += lanes < DENSE_LANES ? 1 : 8)
        out->lanes[out->count++] = lanes;
}

static uint32_t find_cheapest(const struct segue_cost_model *model,
                              const struct candidates *candidates,
                              const struct segue_shape_level *level, uint32_t width_before)
{
    uint32_t best = 1;
    double least = 0;
    for (uint32_t i = 0; i < candidates->count && candidates->lanes[i] <= level->width; i++) {
        double cost = level_ns(model, level, width_before, candidates->lanes[i]);
        if (i == 0 || cost < least) {
            least = cost;
            best = candidates->lanes[i];
        }
    }
    return best;
}

/** The first level waits for nothing; what counts is that the next one waits for it. */
static uint32_t choose_first(const struct segue_cost_model *model,
                             const struct candidates *candidates,
                             const struct segue_shape_level *levels, size_t level_count)
{
    struct segue_shape_level first = levels[0];
    if (level_count < 2 || levels[1].fan_in <= levels[1].width)
        return find_cheapest(model, candidates, &first, 0);
    first.fan_in = levels[1].fan_in / levels[1].width * first.width;
    return find_cheapest(model, candidates, &first, first.width);
}

static bool is_same(const struct segue_shape_level *a, const struct segue_shape_level *b)
{
    return a->width == b->width && a->fan_in == b->fan_in && a->work_ns == b->work_ns &&
           a->area_ns == b->area_ns;
}

uint32_t segue_shape_choose_lanes(const struct segue_cost_model *model,
                                  struct segue_shape_level *levels, size_t level_count)
{
    struct candidates candidates;
    list_candidates(model, &candidates);
    uint32_t most = 1;
    for (size_t i = 0; i < level_count; i++) {
        uint32_t before = i > 0 ? levels[i - 1].width : 0;
        if (levels[i].width < 2)
            levels[i].lane_limit = 1;
        else if (i == 0)
            levels[i].lane_limit = choose_first(model, &candidates, levels, level_count);
        else if (i > 1 && before == levels[i - 2].width && is_same(&levels[i], &levels[i - 1]))
            levels[i].lane_limit = levels[i - 1].lane_limit;
        else
            levels[i].lane_limit = find_cheapest(model, &candidates, &levels[i], before);
        most = levels[i].lane_limit > most ? levels[i].lane_limit : most;
    }
    return most;
}

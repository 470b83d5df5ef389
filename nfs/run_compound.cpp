// SPDX-License-Identifier: Apache-2.0
// The loop over a COMPOUND's operations: order, preconditions, reply bounds, durability (RFC 8881, 2.6.3 and 16.2).
#include <algorithm>

#include "nfs/compound.h"
#include "nfs/ops/op.h"
#include "nfs/state/session.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t op_illegal_code = 10044;
constexpr std::size_t result_head = 8;  // an operation's code and status

// The rules about where an operation may stand (2.10.6.1). `first`: it is the first of the COMPOUND.
NfsStatus check_position(const Compound& compound, const OpEntry& op) {
    if (compound.minor_version == 0) return NfsStatus::ok;
    if (compound.operation_index == 0) {
        if (op.position == Position::in_session) return NfsStatus::op_not_in_session;
        const bool alone = op.position == Position::alone || op.position == Position::only;
        return alone && compound.operation_count != 1 ? NfsStatus::not_only_op : NfsStatus::ok;
    }
    if (op.position == Position::only) return NfsStatus::not_only_op;
    return op.position == Position::sequence ? NfsStatus::sequence_pos : NfsStatus::ok;
}

NfsStatus too_large(const Compound& compound) { return compound.cache_this ? NfsStatus::rep_too_big_to_cache : NfsStatus::rep_too_big; }

// Some troubles have another name in minor version 0 than later.
NfsStatus named_for(std::uint32_t minor_version, NfsStatus status) {
    if (minor_version != 0) return status == NfsStatus::resource ? NfsStatus::delay : status;
    const bool later_name = status == NfsStatus::rep_too_big || status == NfsStatus::rep_too_big_to_cache;
    return later_name ? NfsStatus::resource : status;
}

NfsStatus check_preconditions(const Compound& compound, const OpEntry& op, const XdrWriter& out) {
    auto status = check_position(compound, op);
    if (status != NfsStatus::ok) return status;
    if (compound.uncached_retry && compound.operation_index > 0) return NfsStatus::retry_uncached_rep;
    if (op.now == nullptr && op.run == nullptr) return NfsStatus::notsupp;
    if (op.needs_current_fh && compound.current.is_none()) return NfsStatus::nofilehandle;
    if (op.needs_saved_fh && compound.saved.is_none()) return NfsStatus::nofilehandle;
    if (op.on_pseudo_root != NfsStatus::ok) {
        if (compound.current.is_pseudo_root()) return op.on_pseudo_root;
        if (op.needs_saved_fh && compound.saved.is_pseudo_root()) return NfsStatus::xdev;
    }
    if (op.mutates && compound.current.is_file() && compound.current.share->read_only) return NfsStatus::rofs;
    // What cannot be answered is not done.
    if ((op.mutates || op.changes_state) && compound.room(out) < result_head + op.reply_bound) return too_large(compound);
    return NfsStatus::ok;
}

// Unknown in this minor version, or removed from it.
NfsStatus absent_status(std::uint32_t code, std::uint32_t minor_version) {
    return code < 3 || code > largest_op(minor_version) ? NfsStatus::op_illegal : NfsStatus::notsupp;
}

// One operation under way: its row, and where its result stands in the reply.
struct Step {
    const OpEntry* op = nullptr;  // null: unknown in this minor version
    NfsStatus status = NfsStatus::ok;
    XdrWriter::Mark start, body;
    std::size_t status_at = 0;
};

// Reads the operation's code and checks all that its row says. With a status of ok its handler is to run.
Step begin_op(Compound& compound, XdrReader& in, XdrWriter& out) {
    Step step;
    step.start = out.mark();
    const auto code = in.u32();
    if (!in.ok()) {
        step.status = NfsStatus::badxdr;
        out.u32(op_illegal_code);
    } else {
        const auto* op = find_op(code);
        if (op != nullptr && (op->minors & (1u << compound.minor_version)) != 0) step.op = op;
        step.status = step.op != nullptr ? check_preconditions(compound, *op, out) : absent_status(code, compound.minor_version);
        out.u32(step.status == NfsStatus::op_illegal ? op_illegal_code : code);
    }
    step.status_at = out.hole();
    step.body = out.mark();
    compound.keep_error_body = false;
    return step;
}

// Drops the body of an error, and of a result that is too large; fills in the status.
void end_op(Compound& compound, Step& step, XdrWriter& out) {
    if (compound.replayed) return out.rewind(step.start);
    const bool failed = step.status != NfsStatus::ok;
    if (failed && !compound.keep_error_body) out.rewind(step.body);
    if ((!failed || compound.keep_error_body) && out.size() - compound.reply_base > compound.reply_limit) {
        out.rewind(step.body);
        step.status = too_large(compound);
        compound.keep_error_body = false;
    }
    step.status = named_for(compound.minor_version, step.status);
    if (step.status != NfsStatus::ok && step.op != nullptr && step.op->error_has_bitmap && !compound.keep_error_body) out.u32(0);
    out.patch(step.status_at, static_cast<std::uint32_t>(step.status));
}

// Minor version 0: a request that was sent before gets its first reply, or none while it runs. False: run it.
bool answer_again(Compound& compound, const XdrReader& in, Outcome& outcome) {
    auto& cache = compound.service.replies;
    compound.replay_key = ReplayCache::key(compound.connection.remote, compound.xid, checksum_of_request(in.rest()));
    switch (cache.find(compound.replay_key, compound.service.runtime.clock->now(), compound.replay)) {
        case ReplayCache::Found::nothing: return false;
        case ReplayCache::Found::running: outcome = Outcome::ignored; return true;
        case ReplayCache::Found::reply: compound.replayed = true; return true;
    }
    return false;
}

std::shared_ptr<std::vector<std::byte>> copy_reply(const XdrWriter& out, const XdrWriter::Mark& start) {
    auto reply = std::make_shared<std::vector<std::byte>>();
    reply->reserve(out.size() - start.used - start.attached);
    out.copy_since(start, *reply);
    return reply;
}

// Keeps the reply for a retry, if one may come. Only now, when the reply is sure to stay true, may a retry have it.
void keep_reply(Compound& compound, const XdrWriter& out, const XdrWriter::Mark& start, Outcome outcome) {
    const bool replied = outcome == Outcome::replied;
    if (compound.slot_taken) {
        compound.slot_taken = false;
        compound.session->finish(compound.slot, compound.request_checksum,
                                 replied && compound.cache_this ? copy_reply(out, start) : nullptr);
    }
    if (compound.changes_uncounted) {
        const bool small = out.size() - start.used - start.attached <= ReplayCache::reply_max;
        compound.service.replies.finish(compound.replay_key, compound.service.runtime.clock->now(),
                                        replied && small ? copy_reply(out, start) : nullptr);
    }
}

// Minor version 0: before the first change that nothing counts. False: the request came before, and this is no more to be run.
bool begin_change(Compound& compound, const OpEntry& op, Outcome& outcome) {
    if (compound.minor_version != 0 || !op.mutates || op.repeatable || compound.changes_uncounted) return true;
    switch (compound.service.replies.begin(compound.replay_key, compound.service.runtime.clock->now(), compound.replay)) {
        case ReplayCache::Found::nothing: compound.changes_uncounted = true; return true;
        case ReplayCache::Found::running: outcome = Outcome::ignored; return false;
        case ReplayCache::Found::reply: compound.replayed = true; return false;
    }
    return true;
}

NfsStatus check_header(const Compound& compound, const XdrReader& in) {
    if (!in.ok()) return NfsStatus::badxdr;
    if (compound.minor_version > 2) return NfsStatus::minor_vers_mismatch;
    // With a session its own limit holds.
    if (compound.minor_version == 0 && compound.operation_count > compound.service.config.operations_max) return NfsStatus::resource;
    return NfsStatus::ok;
}

}  // namespace

Task<Outcome> run_compound(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto start = out.mark();
    const auto tag = in.text(tag_size_max);
    compound.minor_version = in.u32();
    compound.operation_count = in.u32();
    auto status = check_header(compound, in);
    auto outcome = Outcome::replied;
    if (status == NfsStatus::ok && compound.minor_version == 0 && answer_again(compound, in, outcome)) {
        if (compound.replayed) out.raw(*compound.replay);
        co_return outcome;
    }
    const auto status_at = out.hole();
    out.text(tag);
    const auto count_at = out.hole();
    std::uint32_t done = 0;
    for (; done < compound.operation_count && status == NfsStatus::ok && !compound.replayed; ++done) {
        compound.operation_index = done;
        auto step = begin_op(compound, in, out);
        if (step.status == NfsStatus::ok) {
            if (!begin_change(compound, *step.op, outcome)) break;
            step.status = step.op->now != nullptr ? step.op->now(compound, in, out) : co_await step.op->run(compound, in, out);
        }
        end_op(compound, step, out);
        status = step.status;
    }
    if (compound.replayed) {
        out.rewind(start);
        out.raw(*compound.replay);
    }
    if (compound.replayed || outcome == Outcome::ignored) co_return outcome;
    out.patch(status_at, static_cast<std::uint32_t>(status));
    out.patch(count_at, done);
    if (!compound.fs().settled(compound.ctx)) {
        const auto durable = co_await compound.fs().settle(compound.ctx);
        if (!durable) outcome = Outcome::dropped;
    }
    keep_reply(compound, out, start, outcome);
    co_return outcome;
}

}  // namespace strata::nfs

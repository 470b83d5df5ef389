// SPDX-License-Identifier: Apache-2.0
// The loop over a COMPOUND's operations: order, preconditions, reply bounds, durability (RFC 8881, 2.6.3 and 16.2).
#include "nfs/compound.h"
#include "nfs/ops/op.h"
#include "nfs/state/session.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t op_illegal_code = 10044;

// The rules about where an operation may stand (2.10.6.1). `first`: it is the first of the COMPOUND.
NfsStatus check_position(const Compound& compound, const OpEntry& op) {
    if (compound.minor_version == 0) return NfsStatus::ok;
    if (compound.operation_index == 0) {
        if (op.position == Position::in_session) return NfsStatus::op_not_in_session;
        if (op.position == Position::alone && compound.operation_count != 1) return NfsStatus::not_only_op;
        return NfsStatus::ok;
    }
    return op.position == Position::sequence ? NfsStatus::sequence_pos : NfsStatus::ok;
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
    if (op.mutates && compound.room(out) < op.reply_bound) {
        return compound.cache_this ? NfsStatus::rep_too_big_to_cache : NfsStatus::rep_too_big;
    }
    return NfsStatus::ok;
}

// Unknown in this minor version, or removed from it.
NfsStatus absent_status(std::uint32_t code, std::uint32_t minor_version) {
    return code < 3 || code > largest_op(minor_version) ? NfsStatus::op_illegal : NfsStatus::notsupp;
}

Task<NfsStatus> run_op_at(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto start = out.mark();
    const auto code = in.u32();
    if (!in.ok()) {
        out.u32(op_illegal_code);
        out.u32(static_cast<std::uint32_t>(NfsStatus::badxdr));
        co_return NfsStatus::badxdr;
    }
    const auto* op = find_op(code);
    const bool known = op != nullptr && (op->minors & (1u << compound.minor_version)) != 0;
    auto status = known ? check_preconditions(compound, *op, out) : absent_status(code, compound.minor_version);
    out.u32(status == NfsStatus::op_illegal ? op_illegal_code : code);
    const auto status_at = out.hole();
    const auto body = out.mark();
    compound.keep_error_body = false;
    if (status == NfsStatus::ok) {
        status = op->now != nullptr ? op->now(compound, in, out) : co_await op->run(compound, in, out);
        if (status != NfsStatus::ok && !compound.keep_error_body) out.rewind(body);
        if (out.size() - compound.reply_base > compound.reply_limit && !compound.replayed) {
            out.rewind(body);
            status = compound.cache_this ? NfsStatus::rep_too_big_to_cache : NfsStatus::rep_too_big;
        }
    }
    if (status != NfsStatus::ok && known && op->error_has_bitmap && !compound.keep_error_body) out.u32(0);
    if (compound.replayed) {
        out.rewind(start);
    } else {
        out.patch(status_at, static_cast<std::uint32_t>(status));
    }
    co_return status;
}

// Gives the slot back, with the reply if it is to be kept. Only now, when the reply is sure to stay true, may a retry have it.
void finish_slot(Compound& compound, const XdrWriter& out, const XdrWriter::Mark& start, Outcome outcome) {
    if (!compound.slot_taken) return;
    compound.slot_taken = false;
    std::shared_ptr<std::vector<std::byte>> reply;
    if (compound.cache_this && outcome == Outcome::replied) {
        reply = std::make_shared<std::vector<std::byte>>();
        reply->reserve(out.size() - start.used - start.attached);
        out.copy_since(start, *reply);
    }
    compound.session->finish(compound.slot, compound.request_checksum, std::move(reply));
}

}  // namespace

Task<Outcome> run_compound(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto start = out.mark();
    const auto tag = in.text(tag_size_max);
    compound.minor_version = in.u32();
    compound.operation_count = in.u32();
    const auto status_at = out.hole();
    out.text(tag);
    const auto count_at = out.hole();
    auto status = NfsStatus::ok;
    std::uint32_t done = 0;
    if (!in.ok()) {
        status = NfsStatus::badxdr;
    } else if (compound.minor_version > 2) {
        status = NfsStatus::minor_vers_mismatch;
    } else if (compound.operation_count > compound.service.config.operations_max && compound.minor_version == 0) {
        status = NfsStatus::resource;
    } else {
        for (; done < compound.operation_count && status == NfsStatus::ok && !compound.replayed; ++done) {
            compound.operation_index = done;
            status = co_await run_op_at(compound, in, out);
        }
    }
    if (compound.replayed) {
        out.rewind(start);
        out.raw(*compound.replay);
        co_return Outcome::replied;
    }
    out.patch(status_at, static_cast<std::uint32_t>(status));
    out.patch(count_at, done);
    auto outcome = Outcome::replied;
    if (!compound.fs().settled(compound.ctx)) {
        const auto durable = co_await compound.fs().settle(compound.ctx);
        if (!durable) outcome = Outcome::dropped;
    }
    finish_slot(compound, out, start, outcome);
    co_return outcome;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// The hot path of the load generator.
#include "tests/bench/lane.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

constexpr std::size_t in_size = 256U << 10;
constexpr std::size_t bulk_size = 64U << 10;  // a record beyond this is read exactly to its end
constexpr std::uint32_t record_max = 4U << 20;
constexpr std::uint32_t slot_bits = 10;
constexpr std::uint32_t slot_mask = (1U << slot_bits) - 1;
constexpr std::size_t pieces_max = 128;
constexpr std::uint64_t delay_pause_ns = 1'000'000;
constexpr std::uint64_t delays_max = 10'000'000;

}  // namespace

void Tally::merge(const Tally& other) {
    operations += other.operations;
    bytes += other.bytes;
    entries += other.entries;
    delays += other.delays;
    latency.merge(other.latency);
    commit_latency.merge(other.commit_latency);
}

std::byte* OutQueue::grow(std::size_t count) {
    if (used_ + count > bytes_.size()) bytes_.resize(std::max(bytes_.size() * 2, used_ + count + 4096));
    used_ += count;
    return bytes_.data() + used_ - count;
}

void OutQueue::advance(std::size_t count) {
    while (count > 0) {
        if (next_ < attachments_.size() && attachments_[next_].at == sent_) {
            View& payload = attachments_[next_].bytes;
            const std::size_t step = std::min(count, payload.size());
            payload = payload.subspan(step);
            count -= step;
            if (!payload.empty()) return;
            ++next_;
        } else {
            const std::size_t end = next_ < attachments_.size() ? attachments_[next_].at : used_;
            const std::size_t step = std::min(count, end - sent_);
            sent_ += step;
            count -= step;
        }
    }
}

// Forgets what was sent, so that a queue that never runs empty stays small.
void OutQueue::compact() {
    attachments_.erase(attachments_.begin(), attachments_.begin() + static_cast<std::ptrdiff_t>(next_));
    next_ = 0;
    if (sent_ < bulk_size) return;
    std::memmove(bytes_.data(), bytes_.data() + sent_, used_ - sent_);
    for (Attachment& attachment : attachments_) attachment.at -= sent_;
    used_ -= sent_;
    sent_ = 0;
}

bool OutQueue::flush(int fd) {
    while (!empty()) {
        iovec pieces[pieces_max];
        std::size_t count = 0;
        std::size_t at = sent_;
        for (std::size_t i = next_; count + 1 < pieces_max; ++i) {
            const std::size_t end = i < attachments_.size() ? attachments_[i].at : used_;
            if (end > at) pieces[count++] = {bytes_.data() + at, end - at};
            at = end;
            if (i >= attachments_.size()) break;
            pieces[count++] = {const_cast<std::byte*>(attachments_[i].bytes.data()), attachments_[i].bytes.size()};
        }
        msghdr message{};
        message.msg_iov = pieces;
        message.msg_iovlen = count;
        const ssize_t sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) {
            compact();
            return false;
        }
        if (sent < 0) fail(std::string("send: ") + std::strerror(errno));
        advance(static_cast<std::size_t>(sent));
    }
    used_ = sent_ = next_ = 0;
    attachments_.clear();
    return true;
}

Lane::Lane(Session& session, Driver& driver, bool null_calls)
    : session_(session),
      driver_(driver),
      prefix_(null_calls ? Prefix::null_call() : session.prefix()),
      null_calls_(null_calls),
      slots_(session.slots()),
      in_(in_size) {}

void Lane::start(std::uint64_t now) {
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        slots_[i].started = now;
        slots_[i].work = driver_.next(i);
        issue(i);
    }
}

void Lane::issue(std::uint32_t slot) {
    Slot& state = slots_[slot];
    const Work& work = state.work;
    state.xid = ++xid_count_ << slot_bits | slot;
    state.busy = true;
    ++outstanding_;
    std::byte* to = out_.grow(prefix_.size() + work.ops.size());
    prefix_.emit(to, {.xid = state.xid,
                      .ops = work.op_count,
                      .sequence = session_.sequence(slot),
                      .slot = session_.slot_base() + slot,
                      .cache_this = work.cache_this,
                      .body = work.ops.size() + work.payload.size()});
    if (!work.ops.empty()) std::memcpy(to + prefix_.size(), work.ops.data(), work.ops.size());
    if (!work.payload.empty()) out_.attach(work.payload);
}

void Lane::receive(std::uint64_t now, bool stopping, Tally& tally) {
    for (;;) {
        const std::size_t room = (in_wanted_ != 0 ? in_wanted_ : in_.size()) - in_used_;
        const ssize_t got = ::recv(session_.fd(), in_.data() + in_used_, room, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got == 0) fail("the server closed the connection");
        if (got < 0) fail(std::string("recv: ") + std::strerror(errno));
        in_used_ += static_cast<std::size_t>(got);
        const std::size_t done = parse(now, stopping, tally);
        if (done != 0 && done < in_used_) std::memmove(in_.data(), in_.data() + done, in_used_ - done);
        in_used_ -= done;
        if (static_cast<std::size_t>(got) < room) return;
    }
}

// Reads all whole records; returns how many bytes they took.
std::size_t Lane::parse(std::uint64_t now, bool stopping, Tally& tally) {
    std::size_t at = 0;
    in_wanted_ = 0;
    while (in_used_ - at >= 4) {
        const std::uint32_t mark = load_u32(in_.data() + at);
        const std::size_t length = mark & 0x7fffffffU;
        require(mark >> 31 == 1, "a reply of several fragments: not understood here");
        require(length <= record_max, "a reply of more than 4 MiB");
        if (in_used_ - at < length + 4) {
            if (length > bulk_size) in_wanted_ = length + 4;
            if (length + 4 > in_.size()) in_.resize(length + 4);
            break;
        }
        read_record(View(in_).subspan(at + 4, length), now, stopping, tally);
        at += length + 4;
    }
    return at;
}

void Lane::read_record(View record, std::uint64_t now, bool stopping, Tally& tally) {
    XdrReader in(record);
    const std::uint32_t xid = in.u32();
    const std::uint32_t slot = xid & slot_mask;
    require(slot < slots_.size() && slots_[slot].busy && slots_[slot].xid == xid, "a reply to no call that is waited for");
    slots_[slot].busy = false;
    --outstanding_;
    read_rpc_reply(in);
    if (!null_calls_) {
        const ReplyHead head = read_compound_head(in);
        const bool advanced = read_sequence(in, session_.id(), session_.slot_base() + slot, session_.sequence(slot));
        if (advanced) ++session_.sequence(slot);
        if (!advanced || is_not_yet(head.status)) {
            require(++tally.delays < delays_max, "the server answers DELAY without end");
            delayed_.push_back({slot, now});
            return;
        }
        // The operation that failed says so itself, with its name, when the driver reads it.
        if (head.status == nfs4_ok && head.results != slots_[slot].work.op_count + 1) fail("not as many results as operations");
    }
    finish_slot(slot, driver_.check(slot, in), now, stopping, tally);
}

void Lane::finish_slot(std::uint32_t slot, const Outcome& outcome, std::uint64_t now, bool stopping, Tally& tally) {
    Slot& state = slots_[slot];
    const bool whole = outcome.progress != Outcome::Progress::continues;
    if (whole) {
        if (outcome.progress == Outcome::Progress::operation) {
            ++tally.operations;
            tally.latency.add(now - state.started);
        } else {
            tally.commit_latency.add(now - state.started);
        }
        tally.bytes += outcome.bytes;
        tally.entries += outcome.entries;
        state.started = now;
    }
    if (whole && stopping) return;
    state.work = driver_.next(slot);
    issue(slot);
}

void Lane::repeat_delayed(std::uint64_t now) {
    std::vector<Delayed> waiting;
    waiting.swap(delayed_);
    for (const Delayed& delayed : waiting) {
        if (now - delayed.since < delay_pause_ns) {
            delayed_.push_back(delayed);
        } else {
            issue(delayed.slot);
        }
    }
}

bool Lane::finish(std::uint64_t now) {
    if (outstanding_ != 0 || !delayed_.empty()) return false;
    if (last_issued_) return true;
    last_issued_ = true;
    const std::optional<Work> work = driver_.last();
    if (!work) return true;
    slots_[0].started = now;
    slots_[0].work = *work;
    issue(0);
    return false;
}

}  // namespace strata::bench

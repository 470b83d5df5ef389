// SPDX-License-Identifier: Apache-2.0
// The measured part of one connection: all its slots are kept busy, replies are parsed as many as a read brings, and the requests
// that follow leave in one send.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/bench/driver.h"
#include "tests/bench/histogram.h"
#include "tests/bench/session.h"
#include "tests/bench/xdr.h"

namespace strata::bench {

// What was measured; one for each thread.
struct Tally {
    std::uint64_t operations = 0;
    std::uint64_t bytes = 0;
    std::uint64_t entries = 0;  // of READDIR
    std::uint64_t delays = 0;   // NFS4ERR_DELAY or GRACE, answered by asking again a millisecond later
    Histogram latency;
    Histogram commit_latency;

    void merge(const Tally& other);
};

// Bytes on their way to the server: copied heads, and payloads by reference in their places between them.
class OutQueue {
public:
    // `count` bytes at the end, to be filled at once.
    std::byte* grow(std::size_t count);
    void attach(View payload) { attachments_.push_back({used_, payload}); }
    [[nodiscard]] bool empty() const { return sent_ == used_ && next_ == attachments_.size(); }

    // Sends what the socket takes; false if something is left.
    bool flush(int fd);

private:
    struct Attachment {
        std::size_t at;  // its place among the copied bytes
        View bytes;
    };

    void advance(std::size_t count);
    void compact();

    Bytes bytes_;
    std::size_t used_ = 0;
    std::size_t sent_ = 0;
    std::vector<Attachment> attachments_;
    std::size_t next_ = 0;
};

class Lane {
public:
    Lane(Session& session, Driver& driver, bool null_calls);

    // Issues the first requests. Times are nanoseconds of the steady clock.
    void start(std::uint64_t now);

    // Reads what has arrived, checks it and issues what follows, unless `stopping`.
    void receive(std::uint64_t now, bool stopping, Tally& tally);

    // Repeats the requests that were answered DELAY or GRACE a millisecond ago or longer.
    void repeat_delayed(std::uint64_t now);

    // Sends what is queued. False: wait for room in the socket.
    bool flush() { return out_.flush(session_.fd()); }

    // When stopping: issues the driver's last request once all are answered; true once that is answered too.
    bool finish(std::uint64_t now);

    [[nodiscard]] int fd() const { return session_.fd(); }
    [[nodiscard]] bool has_delayed() const { return !delayed_.empty(); }
    [[nodiscard]] bool is_waiting() const { return outstanding_ != 0; }

private:
    struct Slot {
        Work work;
        std::uint64_t started = 0;  // of the operation, which may be several requests
        std::uint32_t xid = 0;
        bool busy = false;
    };
    struct Delayed {
        std::uint32_t slot;
        std::uint64_t since;
    };

    void issue(std::uint32_t slot);
    void read_record(View record, std::uint64_t now, bool stopping, Tally& tally);
    void finish_slot(std::uint32_t slot, const Outcome& outcome, std::uint64_t now, bool stopping, Tally& tally);
    std::size_t parse(std::uint64_t now, bool stopping, Tally& tally);

    Session& session_;
    Driver& driver_;
    Prefix prefix_;
    bool null_calls_;
    bool last_issued_ = false;
    std::uint32_t outstanding_ = 0;
    std::uint32_t xid_count_ = 0;
    std::vector<Slot> slots_;
    std::vector<Delayed> delayed_;
    OutQueue out_;
    Bytes in_;
    std::size_t in_used_ = 0;
    std::size_t in_wanted_ = 0;  // bytes of an incomplete large record, its mark included; 0: none
};

}  // namespace strata::bench

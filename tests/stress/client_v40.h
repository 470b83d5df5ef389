// SPDX-License-Identifier: Apache-2.0
// ClientV40: one NFSv4.0 client with one file open at a time (RFC 7530): no session, but sequence numbers of its open- and lock-owner.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/bench/session.h"
#include "tests/stress/client.h"

namespace strata::stress {

// Used by one thread. Throws bench::Failure where nothing else is said.
class ClientV40 {
public:
    ClientV40(const bench::Target& target, std::string name);

    void open(View directory, std::string_view name);  // for reading and writing; it exists
    void close();
    std::uint32_t lock(Lock range);  // for writing; ok or denied
    void unlock(Lock range);
    Bytes read(std::uint64_t offset, std::uint32_t count);
    void write(std::uint64_t offset, View data);
    void renew();

private:
    bench::Reply call(const Ops& ops);
    void confirm_open();

    bench::Socket socket_;
    bench::Prefix prefix_;
    std::string name_;
    std::uint32_t xid_ = 0;
    std::uint64_t clientid_ = 0;
    std::uint32_t open_sequence_ = 0, lock_sequence_ = 0;
    bench::OpenFile file_;
    Stateid lock_;
};

}  // namespace strata::stress

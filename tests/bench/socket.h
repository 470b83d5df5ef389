// SPDX-License-Identifier: Apache-2.0
// A TCP connection to the server, and records on it in the blocking way that set-up uses.
#pragma once

#include <cstdint>
#include <string>

#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/bench/xdr.h"

namespace strata::bench {

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;

    [[nodiscard]] bool is_loopback() const;
};

// `text`: "127.0.0.1:2049" or "[::1]:2049". Throws Failure if it is neither.
Address parse_address(const std::string& text);

class Socket {
public:
    Socket() = default;

    // Connects within 10 seconds, or throws Failure. `source`: number of the loopback address to connect from (0: any), which gives
    // more connections than one address has ports.
    explicit Socket(const Address& to, std::uint32_t source = 0);
    Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    Socket& operator=(Socket&& other) noexcept;
    ~Socket();

    [[nodiscard]] int fd() const { return fd_; }

    // Blocking; both give up after 60 seconds without progress and throw Failure.
    void send(View bytes);

    // The next record without its mark. Records of several fragments are refused.
    Bytes receive_record();

private:
    void receive(std::byte* to, std::size_t count);

    int fd_ = -1;
};

}  // namespace strata::bench

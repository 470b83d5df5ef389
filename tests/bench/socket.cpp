// SPDX-License-Identifier: Apache-2.0
// Connecting, and blocking records.
#include "tests/bench/socket.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

constexpr std::uint32_t record_max = 4U << 20;
constexpr int connect_timeout_s = 10;
constexpr int progress_timeout_s = 60;

void set_timeouts(int fd, int seconds) {
    const timeval timeout{.tv_sec = seconds, .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

void bind_source(int fd, std::uint32_t source) {
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) {
        fail(std::string("bind: ") + std::strerror(errno));
    }
}

}  // namespace

bool Address::is_loopback() const {
    if (storage.ss_family == AF_INET) {
        const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr);
}

Address parse_address(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    if (colon == std::string::npos || std::from_chars(text.data() + colon + 1, end, port).ptr != end || port == 0) {
        fail("not an address and port: " + text);
    }
    std::string host = text.substr(0, colon);
    Address address;
    auto& in4 = reinterpret_cast<sockaddr_in&>(address.storage);
    auto& in6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    if (::inet_pton(AF_INET, host.c_str(), &in4.sin_addr) == 1) {
        in4.sin_family = AF_INET;
        in4.sin_port = htons(port);
        address.length = sizeof in4;
        return address;
    }
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (::inet_pton(AF_INET6, host.c_str(), &in6.sin6_addr) != 1) fail("not a numeric address: " + text);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    address.length = sizeof in6;
    return address;
}

Socket::Socket(const Address& to, std::uint32_t source) {
    Socket opened;
    opened.fd_ = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (opened.fd_ < 0) fail(std::string("socket: ") + std::strerror(errno));
    if (source != 0 && to.storage.ss_family == AF_INET) bind_source(opened.fd_, source);
    set_timeouts(opened.fd_, connect_timeout_s);
    if (::connect(opened.fd_, reinterpret_cast<const sockaddr*>(&to.storage), to.length) != 0) {
        fail(std::string("connect: ") + std::strerror(errno));
    }
    set_timeouts(opened.fd_, progress_timeout_s);
    const int on = 1;
    ::setsockopt(opened.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::swap(fd_, opened.fd_);
}

Socket& Socket::operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

Socket::~Socket() {
    if (fd_ >= 0) ::close(fd_);
}

void Socket::send(View bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) fail(std::string("send: ") + std::strerror(errno));
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
}

void Socket::receive(std::byte* to, std::size_t count) {
    while (count > 0) {
        const ssize_t got = ::recv(fd_, to, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) fail("the server closed the connection");
        if (got < 0) fail(errno == EAGAIN ? std::string("no reply within the time limit") : std::string("recv: ") + std::strerror(errno));
        to += got;
        count -= static_cast<std::size_t>(got);
    }
}

Bytes Socket::receive_record() {
    std::byte mark_bytes[4];
    receive(mark_bytes, sizeof mark_bytes);
    const std::uint32_t mark = load_u32(mark_bytes);
    const std::uint32_t length = mark & 0x7fffffffU;
    require((mark >> 31) == 1, "a reply of several fragments: not understood here");
    require(length <= record_max, "a reply of more than 4 MiB");
    Bytes record(length);
    receive(record.data(), record.size());
    return record;
}

}  // namespace strata::bench

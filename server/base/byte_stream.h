// SPDX-License-Identifier: Apache-2.0
// ByteStream and Listener: the only way to the network. TCP here; the simulator has its own; TLS is a third.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "server/base/clock.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata {

// A numeric address and port, as text for people ("127.0.0.1:12049", "[::1]:2049") and as bytes for matching networks.
struct Endpoint {
    bool v6 = false;
    std::uint8_t address[16] = {};  // v4: the first four; a v4-mapped v6 address is stored as v4
    std::uint16_t port = 0;

    bool is_loopback() const;
    std::string to_string() const;       // with port
    std::string address_string() const;  // without
    // "ADDR:PORT", "[V6]:PORT". Errors: invalid_argument, with what is wrong.
    static Result<Endpoint> parse(std::string_view text);
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// A connected stream, used from its home executor only: one reader and one writer at a time.
class ByteStream {
public:
    virtual ~ByteStream() = default;

    // Waits until bytes (or the end) can be read, holding no buffer meanwhile. Errors: closed, timed_out (at `deadline`), cancelled.
    virtual Task<Result<>> wait_readable(Instant deadline) = 0;
    // Reads what is there, at least one byte, into `out`. 0: the peer ended its side. Errors: closed, timed_out, cancelled.
    virtual Task<Result<std::size_t>> read_some(std::span<std::byte> out, Instant deadline) = 0;
    // As read_some, but never waits: 0 with `would_block` set means that nothing is there now.
    virtual Result<std::size_t> try_read(std::span<std::byte> out, bool& would_block) = 0;
    // Writes all pieces in order, in as few sends as it takes. Errors: closed, timed_out, cancelled.
    virtual Task<Result<>> write_all(std::span<const std::span<const std::byte>> pieces, Instant deadline) = 0;
    // Ends both directions at once; pending calls return `closed`. Home executor only.
    virtual void close() = 0;

    virtual Endpoint local() const = 0;
    virtual Endpoint remote() const = 0;
    virtual Executor executor() const = 0;
};

// Accepts streams and gives each to `on_stream` on the executor that will be the stream's home.
class Listener {
public:
    virtual ~Listener() = default;
    virtual Endpoint local() const = 0;
    // Stops accepting; streams already given out live on. Once it returns, on_stream runs nowhere (but in the caller's own stack).
    virtual void close() = 0;
    // Back-pressure: with `paused` no further stream is accepted until it is lifted.
    virtual void pause(bool paused) = 0;
};

using OnStream = std::function<void(std::unique_ptr<ByteStream>)>;

}  // namespace strata

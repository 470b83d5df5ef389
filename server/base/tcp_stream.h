// SPDX-License-Identifier: Apache-2.0
// ByteStream over a non-blocking TCP socket. Every call first tries the system call and suspends only if that would block.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include "server/base/byte_stream.h"

namespace strata {

boost::asio::ip::tcp::endpoint to_asio(const Endpoint& endpoint);
Endpoint from_asio(const boost::asio::ip::tcp::endpoint& endpoint);

// A connected, non-blocking socket becomes a stream whose home is the socket's executor. `live` counts the streams of that home;
// it is raised by the caller and lowered when the stream is gone; may be null.
std::unique_ptr<ByteStream> make_tcp_stream(boost::asio::ip::tcp::socket socket, std::shared_ptr<std::atomic<int>> live);

// A connected stream socket of any family, given away to the stream, whose home is `home`. local() and remote() are empty.
std::unique_ptr<ByteStream> make_stream(Executor home, int descriptor);

// Connects from the calling coroutine's executor, which becomes the stream's home. Errors: closed (with the address), timed_out, cancelled.
Task<Result<std::unique_ptr<ByteStream>>> connect_tcp(Endpoint endpoint, Instant deadline);

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// Numeric addresses as text.
#include "server/base/byte_stream.h"

#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace strata {

bool Endpoint::is_loopback() const {
    if (!v6) return address[0] == 127;
    for (int i = 0; i < 15; ++i) {
        if (address[i] != 0) return false;
    }
    return address[15] == 1;
}

std::string Endpoint::address_string() const {
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(v6 ? AF_INET6 : AF_INET, address, text, sizeof text);
    return text;
}

std::string Endpoint::to_string() const {
    auto host = address_string();
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
    auto wrong = [&](std::string_view what) {
        return fail(Errc::invalid_argument, "\"" + std::string(text) + "\" is not an address and port: " + std::string(what));
    };
    auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return wrong("no ':PORT' at the end (write ADDRESS:PORT or [V6ADDRESS]:PORT)");
    std::string host(text.substr(0, colon));
    auto digits = text.substr(colon + 1);

    Endpoint out;
    unsigned port = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || port > 65535) {
        return wrong("the port must be a number from 0 to 65535");
    }
    out.port = static_cast<std::uint16_t>(port);

    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
        if (::inet_pton(AF_INET6, host.c_str(), out.address) != 1) return wrong("not a numeric IPv6 address between the brackets");
        constexpr std::uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        if (std::memcmp(out.address, mapped, sizeof mapped) == 0) {
            std::uint8_t v4[4];
            std::memcpy(v4, out.address + 12, 4);
            std::memset(out.address, 0, sizeof out.address);
            std::memcpy(out.address, v4, 4);
        } else {
            out.v6 = true;
        }
        return out;
    }
    if (host.find(':') != std::string::npos) return wrong("an IPv6 address needs brackets: [" + host + "]:" + std::string(digits));
    if (::inet_pton(AF_INET, host.c_str(), out.address) != 1) return wrong("not a numeric IPv4 address (names are not looked up)");
    return out;
}

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// Small things with a text or a number form: endpoints, logs, metrics, checksums.
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "server/base/byte_stream.h"
#include "server/base/crc32c.h"
#include "server/base/io_threads.h"
#include "server/base/log.h"
#include "server/base/metrics.h"

namespace strata {

namespace {

// What a sink wrote into a pipe.
class CapturedLog {
public:
    CapturedLog() { EXPECT_EQ(::pipe2(fds_, O_NONBLOCK | O_CLOEXEC), 0); }
    ~CapturedLog() {
        ::close(fds_[0]);
        ::close(fds_[1]);
    }
    int fd() const { return fds_[1]; }
    std::string text() {
        std::string out(65536, '\0');
        auto n = ::read(fds_[0], out.data(), out.size());
        out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return out;
    }

private:
    int fds_[2] = {-1, -1};
};

}  // namespace

TEST(Endpoint, text_goes_both_ways) {
    for (auto text : {"127.0.0.1:12049", "0.0.0.0:0", "[::1]:2049", "[2001:db8::5]:65535"}) {
        auto endpoint = Endpoint::parse(text);
        ASSERT_TRUE(endpoint) << text;
        EXPECT_EQ(endpoint->to_string(), text);
    }
    EXPECT_TRUE(Endpoint::parse("127.9.9.9:1")->is_loopback());
    EXPECT_TRUE(Endpoint::parse("[::1]:1")->is_loopback());
    EXPECT_FALSE(Endpoint::parse("[::2]:1")->is_loopback());
    EXPECT_EQ(Endpoint::parse("[::1]:7")->address_string(), "::1");
}

TEST(Endpoint, a_mapped_address_is_the_v4_one) { EXPECT_EQ(*Endpoint::parse("[::ffff:10.0.0.7]:80"), *Endpoint::parse("10.0.0.7:80")); }

TEST(Endpoint, wrong_text_is_refused_with_the_reason) {
    for (auto text : {"", "1.2.3.4", "1.2.3.4:", "1.2.3.4:70000", "1.2.3:5", "::1:2049", "[::1]", "[::1:5", "host:80", "1.2.3.4:8x"}) {
        auto endpoint = Endpoint::parse(text);
        ASSERT_FALSE(endpoint) << text;
        EXPECT_EQ(endpoint.error(), Errc::invalid_argument);
        EXPECT_NE(endpoint.error().detail.find(text), std::string::npos);
    }
    EXPECT_NE(Endpoint::parse("::1:2049").error().detail.find("brackets"), std::string::npos);
}

TEST(Crc32c, known_values_and_continuation) {
    auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
    EXPECT_EQ(crc32c(bytes("123456789")), 0xe3069283u);
    EXPECT_EQ(crc32c({}), 0u);
    std::vector<std::byte> zeros(32);
    EXPECT_EQ(crc32c(zeros), 0x8a9136aau);  // RFC 3720, B.4
    EXPECT_EQ(crc32c(bytes("6789"), crc32c(bytes("12345"))), 0xe3069283u);
}

TEST(Metrics, names_are_sorted_and_dots_become_underscores) {
    Metrics metrics;
    auto& counter = metrics.counter("nfs.operations{op=\"a.b\"}");
    counter.add(3);
    metrics.counter("io.stalls").set(1);
    EXPECT_EQ(&counter, &metrics.counter("nfs.operations{op=\"a.b\"}"));
    EXPECT_EQ(metrics.text(), "strata_io_stalls 1\nstrata_nfs_operations{op=\"a.b\"} 3\n");
}

TEST(SystemRandom, two_numbers_differ) { EXPECT_NE(system_random().next(), system_random().next()); }

TEST(StreamLogSink, text_lines_quote_what_needs_it) {
    CapturedLog captured;
    StreamLogSink sink(captured.fd(), false);
    Log log(sink, "nfs");
    log.info("mount", {{"path", "/a b"}, {"count", 3}, {"empty", ""}, {"plain", "x"}});
    log.debug("below the threshold");
    auto text = captured.text();
    EXPECT_NE(text.find("Z info nfs mount path=\"/a b\" count=3 empty=\"\" plain=x\n"), std::string::npos) << text;
    EXPECT_EQ(std::ranges::count(text, '\n'), 1);
}

TEST(StreamLogSink, json_lines_escape_quotes_and_control_characters) {
    CapturedLog captured;
    StreamLogSink sink(captured.fd(), true);
    Log(sink, "nfs").child("op").error("bad \"name\"", {{"name", "a\nb\x01"}});
    auto text = captured.text();
    EXPECT_NE(text.find(R"("level":"error","scope":"nfs.op","message":"bad \"name\"","name":"a\nb\u0001"})"), std::string::npos) << text;
}

TEST(StreamLogSink, a_flood_of_one_warning_is_cut_and_counted) {
    CapturedLog captured;
    StreamLogSink sink(captured.fd(), false, 5);
    Log log(sink, "x");
    for (int i = 0; i < 100; ++i) log.warning("flood");
    log.warning("another");
    for (int i = 0; i < 30; ++i) log.info("news");
    auto text = captured.text();
    auto count = [&](std::string_view word) {
        int n = 0;
        for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
        return n;
    };
    EXPECT_GE(count("flood"), 5);
    EXPECT_LE(count("flood"), 10);  // the second may change meanwhile
    EXPECT_EQ(count("another"), 1);
    EXPECT_EQ(count("news"), 30);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    log.warning("flood");
    EXPECT_NE(captured.text().find("suppressed="), std::string::npos);
}

}  // namespace strata

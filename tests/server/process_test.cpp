// SPDX-License-Identifier: Apache-2.0
// stratad as a process: what it prints, its exit status, and that it ends when it is told to.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/system_clock.h"

namespace strata {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr Duration answer_max = 60s, stop_max = 10s;

class Process : public testing::Test {
protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "strata-process-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    ~Process() override {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            (void)::waitpid(pid_, nullptr, 0);
        }
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    std::string path(const std::string& name) const { return folder_ + "/" + name; }

    void start(std::vector<std::string> words) {
        words.insert(words.begin(), STRATAD_PROGRAM);
        std::vector<char*> arguments;
        for (auto& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        posix_spawn_file_actions_t files;
        ::posix_spawn_file_actions_init(&files);
        ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, path("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, path("err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ASSERT_EQ(::posix_spawn(&pid_, STRATAD_PROGRAM, &files, nullptr, arguments.data(), environ), 0);
        ::posix_spawn_file_actions_destroy(&files);
    }
    std::string printed(const char* name) const {
        std::ostringstream text;
        text << std::ifstream(path(name)).rdbuf();
        return text.str();
    }
    template <class Done>
    bool until(Duration limit, Done done) const {
        SystemClock clock;
        for (const Instant end = clock.now() + limit; clock.now() < end; ::poll(nullptr, 0, 10)) {
            if (done()) return true;
        }
        return done();
    }
    // The exit status; -1: it did not end in time, or not by itself.
    int ended(Duration limit) {
        int status = 0;
        if (!until(limit, [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    int run(std::vector<std::string> words) {
        start(std::move(words));
        return ended(answer_max);
    }
    bool ready() const {
        return until(answer_max, [this] { return printed("out").find("\nhint: policy") != std::string::npos; });
    }

    std::string folder_;
    pid_t pid_ = 0;
};

TEST_F(Process, it_says_how_to_mount_and_ends_when_told_to) {
    start({"--data", path("data"), "--share", "files", "--nfs", "127.0.0.1:0"});
    ASSERT_TRUE(ready()) << printed("err");
    EXPECT_THAT(printed("out"), AllOf(testing::StartsWith("ready: nfs 127.0.0.1:"), HasSubstr("mount: sudo mount -t nfs4 -o port=")));
    struct stat socket{};
    ASSERT_EQ(::stat(path("data/control.sock").c_str(), &socket), 0);
    EXPECT_EQ(socket.st_mode & 0777, 0600u);
    ::kill(pid_, SIGTERM);
    EXPECT_EQ(ended(stop_max), 0);
    EXPECT_EQ(run({"check", "--data", path("data")}), 0) << printed("out") << printed("err");
}

TEST_F(Process, a_start_that_does_not_come_to_its_end_is_no_hindrance_to_ending) {
    // A disk that hangs: nobody ever writes into the pipe.
    std::filesystem::create_directory(path("data"));
    ASSERT_EQ(::mkfifo(path("data/node.json").c_str(), 0600), 0);
    start({"--data", path("data"), "--nfs", "127.0.0.1:0"});
    const std::string descriptors = "/proc/" + std::to_string(pid_) + "/fd";
    const auto has_folder = [&] {
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator(descriptors, ignored)) {
            if (std::filesystem::read_symlink(entry, ignored) == path("data")) return true;
        }
        return false;
    };
    ASSERT_TRUE(until(answer_max, has_folder)) << printed("err");
    ::kill(pid_, SIGTERM);
    EXPECT_EQ(ended(stop_max), 0) << printed("err");
    EXPECT_EQ(printed("out"), "");
}

TEST_F(Process, a_second_one_on_the_same_data_is_refused_with_the_first_ones_number) {
    start({"--data", path("data"), "--nfs", "127.0.0.1:0"});
    ASSERT_TRUE(ready()) << printed("err");
    const pid_t first = std::exchange(pid_, 0);
    EXPECT_EQ(run({"--data", path("data"), "--nfs", "127.0.0.1:0"}), 1);
    EXPECT_THAT(printed("err"), AllOf(HasSubstr("another stratad serves"), HasSubstr("pid " + std::to_string(first))));
    EXPECT_EQ(run({"check", "--data", path("data")}), 1);
    EXPECT_THAT(printed("err"), HasSubstr("stop it first"));
    pid_ = first;
}

TEST_F(Process, what_is_wrong_on_the_command_line_makes_nothing) {
    EXPECT_EQ(run({"--data", path("data"), "--policy", "ec-4+2", "--share", "files"}), 2);
    EXPECT_THAT(printed("err"), HasSubstr("policy ec-4+2 needs 6 stores"));
    EXPECT_FALSE(std::filesystem::exists(path("data/node.json")));
    EXPECT_FALSE(std::filesystem::exists(path("data/stores")));
    EXPECT_EQ(run({"check", "--data", path("nowhere")}), 1);
    EXPECT_FALSE(std::filesystem::exists(path("nowhere")));
}

}  // namespace
}  // namespace strata

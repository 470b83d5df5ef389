// SPDX-License-Identifier: Apache-2.0
// Errors as values: Errc, Error, Result<T>, and the macros that pass an error on.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace strata {

// What went wrong, in words of the domain. Each protocol has one table that maps these to its own codes.
enum class Errc : std::uint8_t {
    not_found,         // no such name, file, chunk or record
    exists,            // the name or id is taken
    not_empty,         // a directory with entries cannot be removed or replaced
    not_directory,     // a directory was needed
    is_directory,      // a directory was given where none may stand
    is_symlink,        // a symbolic link was given where none may stand
    wrong_type,        // some other type of object was needed
    stale,             // the handle names an object that no longer exists
    bad_handle,        // the handle is not one of ours
    permission,        // only the owner or the superuser may (EPERM)
    access,            // mode or ACL deny it (EACCES)
    read_only,         // the share or volume takes no writes
    cross_domain,      // rename or link across shares (EXDEV)
    name_too_long,     // more than 255 bytes
    bad_name,          // empty, ".", "..", "/" or NUL inside, or not UTF-8
    invalid_argument,  // an argument is out of its domain
    too_big,           // beyond the largest file
    too_many_links,    // link count at its bound
    no_space,          // the stores are full
    quota,             // the domain's quota is used up
    bad_cookie,        // READDIR position unknown
    too_small,         // the reply does not fit into what the client allows
    share_conflict,    // an open denies this access (share modes)
    locked,            // a byte-range lock denies this access
    lock_range,        // the lock range cannot be split or merged as asked
    deadlock,          // waiting would never end
    grace,             // only reclaims are taken now
    no_grace,          // reclaims are no longer taken
    delay,             // try again: a grant is being recalled or work is under way
    not_supported,     // a valid request that this server does not offer
    not_same,          // a precondition on attributes failed
    no_xattr,          // no such user attribute
    io,                // a disk failed, past what redundancy can mend
    corrupt,           // a checksum does not match
    store_missing,     // a store's folder is absent or not the one expected
    fenced,            // a newer owner exists
    timed_out,         // the deadline passed; the outcome may be unknown
    cancelled,         // the request was given up
    closed,            // the peer or the service is gone
    busy,              // in use
    no_memory,         // a bound on memory or a table is reached
    too_many,          // a bound on a count is reached
    bad_message,       // bytes that are not what the format says
    bad_version,       // a format or command version this release does not know
    config,            // the configuration or command line is wrong
    internal,          // a bug: logged, counted, and survived
};

constexpr int errc_count = static_cast<int>(Errc::internal) + 1;

// The enumerator's own name, as in the source.
std::string_view to_string(Errc code);

// An expected failure. `detail` tells a person what, where and what to do; empty on hot paths.
struct Error {
    Errc code{};
    std::string detail;

    Error(Errc c) : code(c) {}
    Error(Errc c, std::string d) : code(c), detail(std::move(d)) {}

    friend bool operator==(const Error& a, Errc b) { return a.code == b; }
};

// "not_found: no store at ..." for logs and terminals.
std::string to_string(const Error& error);

// An expected failure is a value; ignoring it is a compile-time error.
template <class T = void>
struct [[nodiscard]] Result : std::expected<T, Error> {
    using std::expected<T, Error>::expected;
};

inline std::unexpected<Error> fail(Errc code) { return std::unexpected<Error>(Error(code)); }
inline std::unexpected<Error> fail(Errc code, std::string detail) { return std::unexpected<Error>(Error(code, std::move(detail))); }
inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

}  // namespace strata

#define STRATA_CONCAT_(a, b) a##b
#define STRATA_CONCAT(a, b) STRATA_CONCAT_(a, b)

// TRY(name, expr): bind the value of a Result, or return its error. CO_TRY is the same inside a coroutine.
#define TRY(name, ...)                                                           \
    auto name##_result = __VA_ARGS__;                                            \
    if (!name##_result) return ::strata::fail(std::move(name##_result.error())); \
    [[maybe_unused]] auto& name = *name##_result
#define CO_TRY(name, ...)                                                           \
    auto name##_result = __VA_ARGS__;                                               \
    if (!name##_result) co_return ::strata::fail(std::move(name##_result.error())); \
    [[maybe_unused]] auto& name = *name##_result

// CHECK_OK(expr): for Result<void>: return its error, if any.
#define STRATA_CHECK_OK_(ret, tmp, ...) \
    if (auto tmp = __VA_ARGS__; !tmp) ret ::strata::fail(std::move(tmp.error()))
#define CHECK_OK(...) STRATA_CHECK_OK_(return, STRATA_CONCAT(check_, __LINE__), __VA_ARGS__)
#define CO_CHECK_OK(...) STRATA_CHECK_OK_(co_return, STRATA_CONCAT(check_, __LINE__), __VA_ARGS__)

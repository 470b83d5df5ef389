// SPDX-License-Identifier: Apache-2.0
// User: the one record of a person, for every protocol: name, uid, gid, SID, and what a password is checked against.
//
// A user's SID is the appliance's SID and the user's RID (MS-DTYP 2.4.2; the shape "S-1-5-21-a-b-c-RID" of a machine's own accounts). It
// and the uid are never changed, and not given out again after a removal: files carry them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/context.h"
#include "server/base/random.h"
#include "server/base/result.h"
#include "server/base/task.h"
#include "server/vfs/record_store.h"

namespace strata::vfs {

// The part of a SID that all accounts of this appliance share: S-1-5-21-a-b-c.
struct MachineSid {
    std::uint32_t a = 0, b = 0, c = 0;

    static MachineSid make(Random& random);
    std::string to_string() const;
    static Result<MachineSid> parse(std::string_view text);  // Errors: invalid_argument
    // The account's own SID: this one and the RID.
    std::string account(std::uint32_t rid) const;
    friend constexpr bool operator==(const MachineSid&, const MachineSid&) = default;
};

constexpr std::uint32_t user_rid_min = 1000;  // smaller ones are well-known accounts (MS-SAMR 2.2.1.14)
constexpr std::uint32_t user_uid_min = 1000;  // uids are given out from here on, past all that were ever named below user_uid_end
constexpr std::uint32_t user_uid_end = 0x8000'0000;

struct User {
    std::string name;       // 1..32 of A-Z a-z 0-9 . _ -, not beginning with . or -; unique without regard to case
    std::string full_name;  // at most 256 bytes of UTF-8 without control characters
    std::uint32_t uid = 0, gid = 0;
    std::uint32_t rid = 0;
    bool disabled = false;
    // What a password is checked against; written together or not at all. Never in a log or a message.
    std::optional<std::string> argon2id;  // "$argon2id$..."
    std::optional<std::string> nt_hash;   // 32 hexadecimal digits

    // Errors: invalid_argument, naming the member, never a hash.
    Result<> validate() const;
    // JSON with a version, for the settings database. Errors of parse: bad_message, bad_version; never with a hash.
    std::string serialize() const;
    static Result<User> parse(std::string_view text);
    friend bool operator==(const User&, const User&) = default;
};

using UserPointer = std::shared_ptr<const User>;

// All users at one moment, by each of their names.
class UserList {
public:
    UserList(MachineSid machine, std::vector<User> users);

    const MachineSid& machine() const { return machine_; }
    const std::vector<UserPointer>& all() const { return users_; }  // by name
    UserPointer find_name(std::string_view name) const;             // without regard to case; null: nobody
    UserPointer find_uid(std::uint32_t uid) const;
    UserPointer find_sid(std::string_view sid) const;  // "S-1-5-21-a-b-c-RID"
    std::string sid_of(const User& user) const { return machine_.account(user.rid); }

private:
    MachineSid machine_;
    std::vector<UserPointer> users_;
    std::vector<UserPointer> by_uid_, by_rid_;
};

// The users of the settings database. Reading is a snapshot, from any thread; changes are durable when they return and come one at a
// time (Errc::busy meanwhile).
class UserTable {
public:
    // `records` outlives the table.
    explicit UserTable(RecordStore& records);

    // Reads all, and makes the machine's SID at the first start. Before anything else. Errors: bad_message (records that contradict each
    // other, too), bad_version; both name the record; whatever the store has.
    Task<Result<>> load(const Context& ctx, Random& random);

    std::shared_ptr<const UserList> snapshot() const;
    // Grows with each change: protocols cache what they derived by it.
    std::uint64_t version() const;

    // Adds `user`, whose rid is given out here, and whose uid too if it is 0. Errors: exists (name or uid), invalid_argument, busy,
    // too_many.
    Task<Result<User>> add(const Context& ctx, User user);
    // Replaces what the user of that uid is; uid and rid stay. Errors: not_found, exists (the name is another's), invalid_argument, busy.
    Task<Result<>> change(const Context& ctx, User user);
    // Errors: not_found, busy.
    Task<Result<>> remove(const Context& ctx, std::uint32_t uid);

    static constexpr std::string_view table = "user";  // key: the uid as ten digits
    static constexpr std::string_view accounts_table = "setting";
    static constexpr std::string_view accounts_key = "accounts";  // the machine's SID and what was given out

private:
    class Change;
    Result<> load_accounts(std::string_view text);
    Task<Result<>> save_accounts(const Context& ctx);
    Task<Result<>> put(const Context& ctx, const User& user);
    // Those of now without the one of that uid, and with `user`, are the users from now on.
    void publish(std::uint32_t but, std::optional<User> user);

    RecordStore& records_;
    MachineSid machine_;
    std::uint32_t next_rid_ = user_rid_min, next_uid_ = user_uid_min;
    std::atomic<bool> changing_{false};
    mutable std::mutex mutex_;
    std::shared_ptr<const UserList> users_;
    std::uint64_t version_ = 1;
};

}  // namespace strata::vfs

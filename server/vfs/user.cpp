// SPDX-License-Identifier: Apache-2.0
// Users: their record, their names, and the table over the settings database.
#include "server/vfs/user.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <span>
#include <utility>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "server/vfs/utf8.h"

namespace strata::vfs {

namespace {

constexpr int user_version = 1, accounts_version = 1;
constexpr std::string_view machine_prefix = "S-1-5-21-";
constexpr std::size_t name_max = 32, full_name_max = 256, argon2id_max = 512, nt_hash_size = 32;
constexpr std::uint32_t rid_max = 0x3fff'ffff;  // MS-SAMR 3.1.1.9.2
constexpr std::uint32_t nobody = 65534;

// Digits only, without zeros in front: one number has one text.
std::optional<std::uint32_t> number(std::string_view text) {
    std::uint32_t value = 0;
    if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (auto& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    return out;
}

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool is_hexadecimal(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

std::string key_of(std::uint32_t uid) { return fmt::format("{:010}", uid); }

boost::json::value or_null(const std::optional<std::string>& text) {
    return text ? boost::json::value(*text) : boost::json::value(nullptr);
}

std::optional<std::string> text_or_null(const boost::json::value& value) {
    if (value.is_null()) return std::nullopt;
    return std::string(value.as_string());
}

// The element whose key is `key`, in a list sorted by it; null: none.
template <class Key, class KeyOf>
UserPointer find_sorted(const std::vector<UserPointer>& users, const Key& key, KeyOf key_of_user) {
    const auto it = std::ranges::lower_bound(users, key, {}, key_of_user);
    return it != users.end() && key_of_user(*it) == key ? *it : nullptr;
}

std::string folded_name(const UserPointer& user) { return lower(user->name); }
std::uint32_t uid_of(const UserPointer& user) { return user->uid; }
std::uint32_t rid_of(const UserPointer& user) { return user->rid; }

}  // namespace

MachineSid MachineSid::make(Random& random) {
    std::array<std::uint32_t, 3> parts{};
    random.fill(std::as_writable_bytes(std::span(parts)));
    return {parts[0], parts[1], parts[2]};
}

std::string MachineSid::to_string() const { return fmt::format("{}{}-{}-{}", machine_prefix, a, b, c); }

std::string MachineSid::account(std::uint32_t rid) const { return fmt::format("{}-{}", to_string(), rid); }

Result<MachineSid> MachineSid::parse(std::string_view text) {
    const auto wrong = [] { return fail(Errc::invalid_argument, "a machine's SID has the form S-1-5-21-a-b-c"); };
    if (!text.starts_with(machine_prefix)) return wrong();
    text.remove_prefix(machine_prefix.size());
    std::array<std::uint32_t, 3> parts{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto dash = i + 1 < parts.size() ? text.find('-') : text.size();
        const auto part = number(text.substr(0, dash));
        if (dash == std::string_view::npos || !part) return wrong();
        parts[i] = *part;
        text.remove_prefix(std::min(text.size(), dash + 1));
    }
    return MachineSid{parts[0], parts[1], parts[2]};
}

Result<> User::validate() const {
    const auto wrong = [](std::string_view what) { return fail(Errc::invalid_argument, std::string(what)); };
    const bool bad_start = name.starts_with('.') || name.starts_with('-');
    if (name.empty() || name.size() > name_max || bad_start || !std::ranges::all_of(name, is_name_character)) {
        return wrong("name: 1 to 32 letters, digits, '.', '_' and '-', beginning with a letter, digit or '_'");
    }
    if (full_name.size() > full_name_max || !is_line_of_text(full_name)) return wrong("full_name: at most 256 bytes of UTF-8 in one line");
    if (uid == 0 || uid == nobody || uid == UINT32_MAX) return wrong(fmt::format("uid: {} is no person's", uid));
    if (gid == UINT32_MAX) return wrong(fmt::format("gid: {} is no group's", gid));
    if (rid < user_rid_min || rid > rid_max) return wrong(fmt::format("rid: {} is not from {} to {}", rid, user_rid_min, rid_max));
    if (argon2id.has_value() != nt_hash.has_value()) return wrong("argon2id, nt_hash: one without the other");
    const auto printable = [](char c) { return c > 0x20 && c < 0x7f; };
    if (argon2id &&
        (argon2id->size() > argon2id_max || !argon2id->starts_with("$argon2id$") || !std::ranges::all_of(*argon2id, printable))) {
        return wrong("argon2id: not such a hash");
    }
    if (nt_hash && (nt_hash->size() != nt_hash_size || !std::ranges::all_of(*nt_hash, is_hexadecimal)))
        return wrong("nt_hash: not such a hash");
    return {};
}

std::string User::serialize() const {
    const boost::json::object object{{"version", user_version},
                                     {"name", name},
                                     {"full_name", full_name},
                                     {"uid", uid},
                                     {"gid", gid},
                                     {"rid", rid},
                                     {"disabled", disabled},
                                     {"argon2id", or_null(argon2id)},
                                     {"nt_hash", or_null(nt_hash)}};
    return boost::json::serialize(object);
}

Result<User> User::parse(std::string_view text) {
    boost::system::error_code error;
    const auto value = boost::json::parse(text, error);
    if (error || !value.is_object()) return fail(Errc::bad_message, "a user's record is not a JSON object");
    try {
        const auto& o = value.as_object();
        if (o.at("version").to_number<int>() != user_version) return fail(Errc::bad_version, "a user's record is of an unknown version");
        User user;
        user.name = o.at("name").as_string();
        user.full_name = o.at("full_name").as_string();
        user.uid = o.at("uid").to_number<std::uint32_t>();
        user.gid = o.at("gid").to_number<std::uint32_t>();
        user.rid = o.at("rid").to_number<std::uint32_t>();
        user.disabled = o.at("disabled").as_bool();
        user.argon2id = text_or_null(o.at("argon2id"));
        user.nt_hash = text_or_null(o.at("nt_hash"));
        if (auto valid = user.validate(); !valid) return fail(Errc::bad_message, fmt::format("a user's record: {}", valid.error().detail));
        return user;
    } catch (const std::exception& e) {  // Boost.JSON's way to tell of a missing key or a wrong type
        return fail(Errc::bad_message, fmt::format("a user's record: {}", e.what()));
    }
}

UserList::UserList(MachineSid machine, std::vector<User> users) : machine_(machine) {
    for (auto& user : users) users_.push_back(std::make_shared<const User>(std::move(user)));
    by_uid_ = by_rid_ = users_;
    std::ranges::sort(users_, {}, folded_name);
    std::ranges::sort(by_uid_, {}, uid_of);
    std::ranges::sort(by_rid_, {}, rid_of);
}

UserPointer UserList::find_name(std::string_view name) const { return find_sorted(users_, lower(name), folded_name); }

UserPointer UserList::find_uid(std::uint32_t uid) const { return find_sorted(by_uid_, uid, uid_of); }

UserPointer UserList::find_sid(std::string_view sid) const {
    const std::string start = machine_.to_string() + "-";
    if (!sid.starts_with(start)) return nullptr;
    const auto rid = number(sid.substr(start.size()));
    return rid ? find_sorted(by_rid_, *rid, rid_of) : nullptr;
}

// One change at a time: whoever made one of these may change the table until it is gone.
class UserTable::Change {
public:
    explicit Change(std::atomic<bool>& flag) : flag_(flag), mine_(!flag.exchange(true)) {}
    ~Change() {
        if (mine_) flag_ = false;
    }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    Result<> allowed() const { return mine_ ? Result<>() : fail(Errc::busy, "another change of users is under way"); }

private:
    std::atomic<bool>& flag_;
    bool mine_;
};

UserTable::UserTable(RecordStore& records)
    : records_(records), users_(std::make_shared<const UserList>(MachineSid{}, std::vector<User>{})) {}

std::shared_ptr<const UserList> UserTable::snapshot() const {
    std::lock_guard lock(mutex_);
    return users_;
}

std::uint64_t UserTable::version() const {
    std::lock_guard lock(mutex_);
    return version_;
}

Result<> UserTable::load_accounts(std::string_view text) {
    boost::system::error_code error;
    const auto value = boost::json::parse(text, error);
    if (error || !value.is_object()) return fail(Errc::bad_message, "the record of accounts is not a JSON object");
    try {
        const auto& o = value.as_object();
        if (o.at("version").to_number<int>() != accounts_version) {
            return fail(Errc::bad_version, "the record of accounts is of an unknown version");
        }
        const auto machine = MachineSid::parse(o.at("machine_sid").as_string());
        if (!machine) return fail(Errc::bad_message, fmt::format("the record of accounts: {}", machine.error().detail));
        machine_ = *machine;
        next_rid_ = o.at("next_rid").to_number<std::uint32_t>();
        next_uid_ = o.at("next_uid").to_number<std::uint32_t>();
        return {};
    } catch (const std::exception& e) {
        return fail(Errc::bad_message, fmt::format("the record of accounts: {}", e.what()));
    }
}

Task<Result<>> UserTable::save_accounts(const Context& ctx) {
    const boost::json::object object{
        {"version", accounts_version}, {"machine_sid", machine_.to_string()}, {"next_rid", next_rid_}, {"next_uid", next_uid_}};
    co_return co_await records_.put(ctx, accounts_table, accounts_key, boost::json::serialize(object));
}

Task<Result<>> UserTable::load(const Context& ctx, Random& random) {
    CO_TRY(rows, co_await records_.scan(ctx, table));
    std::vector<User> users;
    for (const auto& [key, text] : rows) {
        auto user = User::parse(text);
        if (!user) co_return fail(user.error().code, fmt::format("user {}: {}", key, user.error().detail));
        const auto same = [&](const User& other) { return other.rid == user->rid || lower(other.name) == lower(user->name); };
        if (key_of(user->uid) != key || std::ranges::any_of(users, same)) {
            co_return fail(Errc::bad_message, fmt::format("user {}: the record contradicts its key or another record", key));
        }
        users.push_back(std::move(*user));
    }
    const auto accounts = co_await records_.get(ctx, accounts_table, accounts_key);
    if (accounts) {
        CO_CHECK_OK(load_accounts(*accounts));
    } else if (accounts.error() != Errc::not_found) {
        co_return fail(accounts.error());
    } else if (!users.empty()) {
        co_return fail(Errc::bad_message, "the record of accounts is gone, and with it the SIDs of all users");
    } else {
        machine_ = MachineSid::make(random);
        CO_CHECK_OK(co_await save_accounts(ctx));
    }
    for (const auto& user : users) next_rid_ = std::max(next_rid_, user.rid + 1);
    std::lock_guard lock(mutex_);
    users_ = std::make_shared<const UserList>(machine_, std::move(users));
    ++version_;
    co_return Result<>{};
}

void UserTable::publish(std::uint32_t but, std::optional<User> user) {
    std::vector<User> users;
    for (const auto& other : snapshot()->all()) {
        if (other->uid != but) users.push_back(*other);
    }
    if (user) users.push_back(std::move(*user));
    auto fresh = std::make_shared<const UserList>(machine_, std::move(users));
    std::lock_guard lock(mutex_);
    users_ = std::move(fresh);
    ++version_;
}

Task<Result<>> UserTable::put(const Context& ctx, const User& user) {
    co_return co_await records_.put(ctx, table, key_of(user.uid), user.serialize());
}

Task<Result<User>> UserTable::add(const Context& ctx, User user) {
    const Change change(changing_);
    CO_CHECK_OK(change.allowed());
    const auto now = snapshot();
    if (now->find_name(user.name)) co_return fail(Errc::exists, fmt::format("there is a user \"{}\"", now->find_name(user.name)->name));
    if (user.uid == 0) user.uid = next_uid_ == nobody ? nobody + 1 : next_uid_;
    if (const auto other = now->find_uid(user.uid)) co_return fail(Errc::exists, fmt::format("uid {} is \"{}\"", user.uid, other->name));
    user.rid = next_rid_;
    if (next_rid_ > rid_max || user.uid == user_uid_end) co_return fail(Errc::too_many, "no number is left for another user");
    CO_CHECK_OK(user.validate());
    // First what was given out: numbers may be skipped by a crash, and never given out twice.
    ++next_rid_;
    if (user.uid < user_uid_end) next_uid_ = std::max(next_uid_, user.uid + 1);
    CO_CHECK_OK(co_await save_accounts(ctx));
    CO_CHECK_OK(co_await put(ctx, user));
    publish(user.uid, user);
    co_return user;
}

Task<Result<>> UserTable::change(const Context& ctx, User user) {
    const Change change(changing_);
    CO_CHECK_OK(change.allowed());
    const auto now = snapshot();
    const auto before = now->find_uid(user.uid);
    if (!before) co_return fail(Errc::not_found, fmt::format("there is no user of uid {}", user.uid));
    user.rid = before->rid;
    const auto named = now->find_name(user.name);
    if (named && named->uid != user.uid) co_return fail(Errc::exists, fmt::format("\"{}\" is another user", named->name));
    CO_CHECK_OK(user.validate());
    CO_CHECK_OK(co_await put(ctx, user));
    publish(user.uid, user);
    co_return Result<>{};
}

Task<Result<>> UserTable::remove(const Context& ctx, std::uint32_t uid) {
    const Change change(changing_);
    CO_CHECK_OK(change.allowed());
    if (!snapshot()->find_uid(uid)) co_return fail(Errc::not_found, fmt::format("there is no user of uid {}", uid));
    CO_CHECK_OK(co_await records_.erase(ctx, table, key_of(uid)));
    publish(uid, std::nullopt);
    co_return Result<>{};
}

}  // namespace strata::vfs

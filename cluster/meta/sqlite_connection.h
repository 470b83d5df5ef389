// SPDX-License-Identifier: Apache-2.0
// SqliteConnection and SqliteStatement: SQLite with Results and typed columns.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace strata::cluster {

class SqliteVfs;

class SqliteStatement;

// One connection, used by one thread at a time. Calls block.
// Errors of all calls: corrupt (a page or the file's structure is damaged), io, no_space, busy, too_many (no descriptor is left), internal.
class SqliteConnection {
public:
    enum class Mode : std::uint8_t { create, read_write, read_only };
    static Result<SqliteConnection> open(SqliteVfs& vfs, const std::string& path, Mode mode, std::uint64_t cache_bytes);
    SqliteConnection(SqliteConnection&& other) noexcept;
    SqliteConnection& operator=(SqliteConnection&&) = delete;
    ~SqliteConnection();  // statements first

    // Statements without results, separated by semicolons.
    Result<> run(const char* sql);
    Result<SqliteStatement> prepare(std::string_view sql);
    // Rows that the last INSERT, UPDATE or DELETE changed.
    std::int64_t changes() const;
    sqlite3* handle() const { return db_; }
    Error error(int code) const;

private:
    explicit SqliteConnection(sqlite3* db) : db_(db) {}
    sqlite3* db_;
};

// A prepared statement, reused: bind all, step until false, reset. Numbers are stored as SQLite's signed 64 bits.
class SqliteStatement {
public:
    SqliteStatement() = default;
    SqliteStatement(SqliteConnection& connection, sqlite3_stmt* statement) : connection_(&connection), statement_(statement) {}
    SqliteStatement(SqliteStatement&& other) noexcept;
    SqliteStatement& operator=(SqliteStatement&& other) noexcept;
    ~SqliteStatement();

    // Parameters count from 1. Bytes must live until reset().
    SqliteStatement& bind(int parameter, std::uint64_t value);
    SqliteStatement& bind(int parameter, std::string_view bytes);
    SqliteStatement& bind_null(int parameter);
    // True: a row is there. After false or an error the statement is reset.
    Result<bool> step();
    // For statements without rows: step and reset.
    Result<> execute();
    void reset();

    // Columns count from 0, of the present row; bytes live until the next step.
    std::uint64_t number(int column) const;
    std::string_view bytes(int column) const;
    bool is_null(int column) const;

private:
    SqliteConnection* connection_ = nullptr;
    sqlite3_stmt* statement_ = nullptr;
};

// Resets a statement on leaving the scope, however it is left.
class StatementUse {
public:
    explicit StatementUse(SqliteStatement& statement) : statement_(statement) {}
    ~StatementUse() { statement_.reset(); }
    StatementUse(const StatementUse&) = delete;
    SqliteStatement* operator->() const { return &statement_; }

private:
    SqliteStatement& statement_;
};

}  // namespace strata::cluster

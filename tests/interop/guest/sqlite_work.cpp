// SPDX-License-Identifier: Apache-2.0
// sqlite_work DIR TRANSACTIONS: an SQLite database on the mount, written by two processes, then checked by SQLite itself.
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

sqlite3* open_database(const std::string& path) {
    sqlite3* database = nullptr;
    if (sqlite3_open(path.c_str(), &database) != SQLITE_OK) {
        std::printf("open: %s\n", sqlite3_errmsg(database));
        std::exit(1);
    }
    sqlite3_busy_timeout(database, 60000);
    return database;
}

void run(sqlite3* database, const std::string& statement) {
    char* message = nullptr;
    if (sqlite3_exec(database, statement.c_str(), nullptr, nullptr, &message) != SQLITE_OK) {
        std::printf("%.100s: %s\n", statement.c_str(), message);
        std::exit(1);
    }
}

std::string value(sqlite3* database, const char* query) {
    sqlite3_stmt* statement = nullptr;
    std::string text = "error";
    if (sqlite3_prepare_v2(database, query, -1, &statement, nullptr) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return text;
}

// Money moves between accounts and each move is noted: the sum stays, and the notes explain every balance.
void work(const std::string& path, int writer, int transactions) {
    sqlite3* database = open_database(path);
    unsigned random = static_cast<unsigned>(writer) + 17;
    auto next = [&](unsigned bound) { return static_cast<int>((random = random * 1664525u + 1013904223u) / 65536 % bound); };
    for (int i = 0; i < transactions; ++i) {
        run(database, "BEGIN IMMEDIATE");
        for (int moves = 0; moves < 5; ++moves) {
            const std::string from = std::to_string(next(500)), to = std::to_string(next(500)), amount = std::to_string(1 + next(90));
            run(database, "UPDATE account SET balance = balance - " + amount + " WHERE id = " + from);
            run(database, "UPDATE account SET balance = balance + " + amount + " WHERE id = " + to);
            run(database, "INSERT INTO move(source, target, amount, note) VALUES(" + from + "," + to + "," + amount + ",hex(randomblob(" +
                              std::to_string(20 + next(300)) + ")))");
        }
        run(database, i % 10 == 9 ? "ROLLBACK" : "COMMIT");
    }
    sqlite3_close(database);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const std::string path = std::string(argv[1]) + "/bank.db";
    const int transactions = std::atoi(argv[2]);
    sqlite3* database = open_database(path);
    run(database,
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;"
        "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);"
        "CREATE TABLE move(id INTEGER PRIMARY KEY, source INT, target INT, amount INT, note TEXT);"
        "CREATE INDEX by_source ON move(source, target);"
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 499) INSERT INTO account SELECT i, 1000 FROM n;");
    sqlite3_close(database);
    const pid_t child = fork();
    work(path, child == 0 ? 2 : 1, transactions);
    if (child == 0) _exit(0);
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) {
        std::printf("the second writer failed\n");
        return 1;
    }
    if (FILE* knob = std::fopen("/proc/sys/vm/drop_caches", "w")) {
        std::fputs("3\n", knob);
        std::fclose(knob);
    }
    database = open_database(path);
    const std::string integrity = value(database, "PRAGMA integrity_check");
    const std::string sum = value(database, "SELECT sum(balance) FROM account");
    const std::string moves = value(database, "SELECT count(*) FROM move");
    const std::string unexplained =
        value(database,
              "SELECT count(*) FROM account a WHERE balance != 1000 + (SELECT ifnull(sum(amount), 0) FROM move WHERE target = a.id)"
              " - (SELECT ifnull(sum(amount), 0) FROM move WHERE source = a.id)");
    sqlite3_close(database);
    const std::string wanted = std::to_string(2 * 5 * (transactions - transactions / 10));
    std::printf("integrity %s, sum %s, moves %s of %s, unexplained %s\n", integrity.c_str(), sum.c_str(), moves.c_str(), wanted.c_str(),
                unexplained.c_str());
    return integrity == "ok" && sum == "500000" && moves == wanted && unexplained == "0" ? 0 : 1;
}

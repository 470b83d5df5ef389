// SPDX-License-Identifier: Apache-2.0
// ContentOracle: which bytes one file may hold after a power cut.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace strata::sim {

// A file that one client changes, one call after the other. The file's dirty data are flushed together, so what a crash leaves is the file
// as it was after some write at or past the last commit; sizes that were set, holes and clones are in the metadata's log and survive
// the loss of the writes before them: then each possible content has one more form.
class ContentOracle {
public:
    using Content = std::shared_ptr<const std::string>;

    ContentOracle() : possible_{{std::make_shared<std::string>(), 0}} {}

    // As the file reads now.
    const std::string& newest() const { return *possible_.back().content; }
    // The contents that a crash may leave.
    std::size_t possible() const { return possible_.size(); }

    // UNSTABLE: from now on the bytes may be there.
    void write(std::uint64_t offset, std::string_view bytes);
    // All that was written is durable. Claims nothing while a change by metadata is not acknowledged: the commit may not have waited
    // for it.
    void commit();
    // The same, and nothing may be missing.
    void commit_all() { possible_.erase(possible_.begin(), possible_.end() - 1); }
    // Changes by metadata, the client's `position`th: possible now, and what all went before is gone once that is durable.
    void set_size(std::uint64_t size, std::uint64_t position);
    void make_hole(std::uint64_t offset, std::uint64_t length, std::uint64_t position);
    void reserve(std::uint64_t offset, std::uint64_t length, std::uint64_t position);
    void overlay(std::uint64_t offset, std::string_view bytes, std::uint64_t position);  // a clone
    // The client's changes up to `position` are durable.
    void acknowledge(std::uint64_t position);

    // `actual` was found. True: it is possible, and from now on the only one. `lost` tells whether something newer had been seen.
    bool adopt(std::string_view actual, bool* lost = nullptr);
    // After a call with an unknown outcome the file reads so. True: it is possible, and the newest from now on.
    bool see(std::string_view actual);
    // For people: where `actual` and the two ends of what is possible differ.
    std::string difference(std::string_view actual) const;

private:
    struct Possible {
        Content content;
        std::uint64_t position;  // of the newest change by metadata that is in it
    };
    template <class Change>
    void reshape(std::uint64_t position, Change change);

    std::vector<Possible> possible_;  // newest last; never empty
    std::uint64_t acknowledged_ = 0;
};

}  // namespace strata::sim

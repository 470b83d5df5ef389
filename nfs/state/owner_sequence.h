// SPDX-License-Identifier: Apache-2.0
// OwnerSequence: the seqid of open-owners and lock-owners in minor version 0: each request of an owner counts once, a retransmission gets
// the first one's reply (RFC 7530, 9.1.7 - 9.1.9). In 4.1 sessions do this: then it only stands by.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "nfs/compound.h"
#include "nfs/state/client.h"
#include "server/base/result.h"

namespace strata::nfs {

class OwnerSequence {
public:
    OwnerSequence() = default;
    ~OwnerSequence();
    OwnerSequence(const OwnerSequence&) = delete;
    OwnerSequence& operator=(const OwnerSequence&) = delete;

    // True: run the operation. False: it is answered: return status(), whose body is written. `client`'s mutex must not be held.
    bool begin(Compound& compound, std::shared_ptr<Client> client, std::shared_ptr<Owner> owner, std::uint32_t seqid,
               std::uint32_t operation, XdrWriter& out);
    NfsStatus status() const { return status_; }
    // The operation has ended so, having written its body to `out` since begin(): keeps it for a retransmission. Returns `status`.
    NfsStatus end(Compound& compound, NfsStatus status, const XdrWriter& out);

private:
    std::shared_ptr<Client> client_;
    std::shared_ptr<Owner> owner_;
    std::uint32_t seqid_ = 0, operation_ = 0;
    XdrWriter::Mark body_;
    NfsStatus status_ = NfsStatus::ok;
};

// The owner of that name, made if there is none. Client::mutex is held. Errors: too_many (the client has), no_memory (all together
// have: `quota`).
Result<std::shared_ptr<Owner>> find_or_make_owner(Quota& quota, std::map<std::string, std::shared_ptr<Owner>, std::less<>>& owners,
                                                  std::string_view name, Instant now, bool confirmed);

// A share of the service's state_bytes for a new state of `owner`. Errors: the same.
Result<Quota::Share> share_for_state(Quota& quota, const Client& client, const Owner& owner);

// Takes a state out of its client and owner. Client::mutex is held; the State's last reference is to go after it is released.
void detach_state(Client& client, const std::shared_ptr<State>& state);

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Any bytes, cut anywhere, through record marking and the RPC header.
#include <algorithm>
#include <cstring>

#include "nfs/rpc/message.h"
#include "nfs/rpc/record.h"
#include "nfs/wire/types.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace strata;
    using namespace strata::nfs;
    if (size == 0) return 0;
    const std::size_t piece = std::size_t{data[0]} * 7 + 1;
    ++data;
    --size;
    BufferPool pool(4 << 20);
    RecordReader reader(pool, record_size_max);
    std::size_t at = 0;
    for (;;) {
        Slice record;
        const auto next = reader.next(record);
        if (next == RecordReader::Next::bad || next == RecordReader::Next::wait) return 0;
        if (next == RecordReader::Next::record) {
            XdrReader in(record);
            CallHeader call;
            (void)read_header(in, call);
            continue;
        }
        if (at == size) return 0;
        const auto space = reader.space();
        if (space.empty()) return 0;
        const auto count = std::min({piece, space.size(), size - at});
        std::memcpy(space.data(), data + at, count);
        reader.received(count);
        at += count;
    }
}

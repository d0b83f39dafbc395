// SPDX-License-Identifier: Apache-2.0
// KV from one executor's form into another's: element type and order, position by position.
#pragma once

#include <cstddef>
#include <span>

#include "tokenworks/kv_layout.h"
#include "tokenworks/status.h"

namespace tokenworks::kv_transfer {

// FailedPrecondition names what cannot be converted: layers, heads or dimensions that differ, an unknown order.
Status CheckConvertible(const KvLayout& from, const KvLayout& to);

// One block's layers [first_layer, first_layer + layers): `in` as `from` lays them out, `out` as `to` does; both sizes
// are the layouts' own. Layouts are convertible. What f16 cannot hold becomes its largest value.
void ConvertLayers(const KvLayout& from, const KvLayout& to, int first_layer, int layers, std::span<const std::byte> in,
                   std::span<std::byte> out);

}  // namespace tokenworks::kv_transfer

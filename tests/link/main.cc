// SPDX-License-Identifier: Apache-2.0
// Linked against one library as a whole archive: proves that its declared dependencies suffice.
int main() { return 0; }

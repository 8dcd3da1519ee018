// Does one wrong thing by number and prints what the exception says.
#include <cstdio>
#include <cstdlib>

#include "xec_model.h"

int main(int, char** words) {
  try {
    const xec::Model model(words[1]);
    const xec::Model other(words[1]);
    xec::Batch batch(model, 2);
    switch (std::atoi(words[2])) {
      case 0: model.run(batch, 0); break;
      case 1: model.run(batch, 3); break;
      case 2: other.run(batch, 1); break;
      case 3: batch.npho(2); break;
      case 4: batch.dead(0); break;
      case 5: batch.value("enrgy", 0); break;
      case 6: batch.value("uvwFI", 0, 3); break;
      case 7: batch.output(2, 0); break;
      case 8: xec::Batch(model, 0); break;
      case 9: xec::Model(words[1], -1); break;
      case 10: model.property("xec_colour"); break;
    }
  } catch (const xec::Error& error) {
    std::puts(error.what());
    return 0;
  }
  return 1;
}

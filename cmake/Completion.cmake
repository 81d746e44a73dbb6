# Run by cmake -P: writes what `PROGRAM completion bash` prints to OUTPUT. A package's command has no path to its library.
execute_process(COMMAND ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${LIBRARIES} ${PROGRAM} completion bash
    OUTPUT_FILE ${OUTPUT} COMMAND_ERROR_IS_FATAL ANY)
